import { writeFileSync } from 'node:fs'
import { formatCheckpoint } from '../../../src/seal/note/checkpoint'
import type { Signer } from '../../../src/seal/note/signer'
import { entryOf, leafOf } from '../../../src/seal/tree/hashes'
import { type VerifySealOptions, verifySeal } from '../../../src/seal/verify/verify-seal'
import { WitnessClient, type WitnessProblem } from '../../../src/seal/witness/witness-client'
import { parseWitness } from '../../../src/seal/witness/witness-request'
import { refusal } from '../../support/refusal'
import { eventLines, newSigner, writeLines, writeSeal } from '../../support/seal/hand-sealed'
import { TiledTree } from '../../support/seal/tiled-tree'
import { WitnessServer } from '../../support/seal/witness-server'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

const folder = useTempDir()
const LINES = eventLines(700)
const leaves = LINES.map((line) => leafOf(entryOf(Buffer.from(line))))
const tree = new TiledTree(leaves)

let signer: Signer
let servers: WitnessServer[]
let client: WitnessClient
let kept: Buffer[]
let problems: WitnessProblem[]

beforeEach(() => {
  signer = newSigner(folder.path(''))
  servers = []
  kept = []
  problems = []
})
afterEach(async () => {
  await client?.close()
  await Promise.all(servers.map((server) => server.close()))
})

async function newWitness(name = 'witness.example/w1') {
  const server = new WitnessServer(name, signer.key)
  servers.push(server)
  const url = await server.listen()
  return { server, witness: parseWitness(`${url}/,${server.key.text}`) }
}

function start(witnesses: readonly ReturnType<typeof parseWitness>[], of = tree): void {
  client = new WitnessClient({
    witnesses,
    nodes: (size) => of.nodes(size),
    onWitnessed: (note) => void kept.push(note),
    onProblem: (problem) => void problems.push(problem),
  })
}

/** A signed checkpoint of the first lines. */
const noteOf = (size: number, of = leaves) =>
  signer.sign(
    formatCheckpoint({
      ...{ origin: signer.key.name, size },
      root: new TiledTree(of.slice(0, size)).root(),
    }),
  )

const sizesKept = () => kept.map((note) => Number(note.toString().split('\n')[1]))

const waitFor = (condition: () => boolean) => until('the client does not get there', condition)

async function offerAndWait(size: number): Promise<void> {
  client.offer(await noteOf(size))
  await waitFor(() => sizesKept().at(-1) === size)
}

describe('the witness client', () => {
  it('has each checkpoint cosigned, with a proof that it extends the last one', async () => {
    const { server, witness } = await newWitness()
    start([witness])
    for (const size of [1, 2, 255, 256, 600, 700]) await offerAndWait(size)
    expect(server.answers).toEqual(Array(6).fill(200))
    expect(server.head).toEqual({ size: 700, root: tree.root() })
    expect(problems).toEqual([])
    expect(kept.at(-1)?.toString().split('\n')).toEqual([
      ...(await noteOf(700)).split('\n').slice(0, -1),
      expect.stringMatching(/^\u2014 witness\.example\/w1 /),
      '',
    ])
  })

  it('learns from a conflict what the witness has signed', async () => {
    const { server, witness } = await newWitness()
    start([witness])
    await offerAndWait(300)
    await client.close()
    start([witness])
    await offerAndWait(500)
    expect(server.answers).toEqual([200, 409, 200])
    // The same checkpoint again, as after a restart.
    await client.close()
    kept = []
    start([witness])
    await offerAndWait(500)
    expect(server.answers).toEqual([200, 409, 200, 409, 200])
  })

  it('asks for the newest only, and keeps what most witnesses have signed', async () => {
    const [one, two] = [await newWitness('w/1'), await newWitness('w/2')]
    start([one.witness, two.witness])
    const notes = await Promise.all([100, 200, 300, 400, 500].map((size) => noteOf(size)))
    for (const note of notes) client.offer(note)
    await waitFor(() => sizesKept().at(-1) === 500)
    expect(sizesKept()).toEqual([100, 500])
    two.server.misbehaviour.status = 500
    client.offer(await noteOf(600))
    await waitFor(() => problems.length > 0 && one.server.head.size === 600)
    expect(problems).toEqual([
      { witness: 'w/2', kind: 'failed', message: `${two.witness.url}/add-checkpoint answered 500` },
    ])
    delete two.server.misbehaviour.status
    await offerAndWait(700)
    expect(sizesKept()).toEqual([100, 500, 700])
  })

  it('tries again by itself', async () => {
    const { server, witness } = await newWitness()
    server.misbehaviour.status = 500
    start([witness])
    client.offer(await noteOf(100))
    await waitFor(() => problems.length === 1)
    delete server.misbehaviour.status
    await waitFor(() => kept.length === 1)
    expect(sizesKept()).toEqual([100])
  })

  it('reports a log that was put back, or is another one', async () => {
    const { server, witness } = await newWitness()
    start([witness])
    await offerAndWait(300)
    await client.close()
    start([witness])
    client.offer(await noteOf(200))
    await waitFor(() => problems.length === 1)
    await client.close()
    const other = eventLines(700, 1).map((line) => leafOf(entryOf(Buffer.from(line))))
    start([witness], new TiledTree(other))
    client.offer(await noteOf(300, other))
    await waitFor(() => problems.length === 2)
    await client.close()
    start([witness], new TiledTree(other))
    client.offer(await noteOf(400, other))
    await waitFor(() => problems.length === 3)
    const ahead = (size: number) => ({
      ...{ witness: 'witness.example/w1', kind: 'ahead' },
      message: `it has signed 300 lines, and not these ${size}: the log and its seal were put back, or are another's`,
    })
    expect(problems).toEqual([
      ahead(200),
      ahead(300),
      {
        ...{ witness: 'witness.example/w1', kind: 'ahead' },
        message: `${witness.url}/add-checkpoint answered 422: it does not accept the proof: the log is not the one that it has signed before`,
      },
    ])
    expect(server.head.size).toBe(300)
    expect(sizesKept()).toEqual([300])
  })

  it('keeps nothing that is forged, and ends while a witness is silent or gone', async () => {
    const { server, witness } = await newWitness()
    server.misbehaviour.isForged = true
    start([witness])
    client.offer(await noteOf(100))
    await waitFor(() => problems.length === 1)
    expect(problems[0]?.message).toBe(
      `${witness.url}/add-checkpoint: the signature of witness.example/w1 is wrong`,
    )
    await client.close()
    server.misbehaviour.isSilent = true
    start([witness])
    client.offer(await noteOf(100))
    await client.close()
    await server.close()
    start([witness])
    client.offer(await noteOf(100))
    await waitFor(() => problems.length === 2)
    expect(problems[1]?.message).toMatch(/ECONNREFUSED/)
    expect(kept).toEqual([])
  })

  it('is told where a witness is, and by which key', () => {
    const { text } = signer.key
    const shown = (of: string) => JSON.stringify(of.slice(0, 200))
    expect(refusal(() => parseWitness('x'))).toBe('SealError: the witness "x": expected URL,VKEY')
    expect(refusal(() => parseWitness(`ftp://x,${text}`))).toBe(
      `SealError: the witness ${shown(`ftp://x,${text}`)}: expected an http: or https: URL before the comma`,
    )
    expect(refusal(() => parseWitness(`http://x,${text}`))).toBe(
      `SealError: the witness ${shown(`http://x,${text}`)}: its key is a log's (type 0x01), and no witness's (0x04)`,
    )
  })
})

describe('a witnessed log', () => {
  it('is WITNESSED up to what enough witnesses have signed', async () => {
    const [one, two] = [await newWitness('w/1'), await newWitness('w/2')]
    const log = folder.path('exec.log')
    writeLines(log, LINES)
    const seal = folder.path('seal')
    await writeSeal(seal, signer, [{ file: 'exec.log', lines: LINES }])
    const witnesses = [one, two].map(({ server }) => server.key.text)
    const verify = (options: Partial<VerifySealOptions> = {}) =>
      verifySeal([log], { seal, keys: [signer.key.text], witnesses, ...options })
    expect(await verify()).toMatchObject({
      ...{ verdict: 'broken', anchor: 'sealed', byKind: { 'not witnessed': 1 } },
      findings: [{ message: '0 of 2 witnesses have signed a checkpoint of this log' }],
    })
    start([one.witness, two.witness])
    await offerAndWait(600)
    writeFileSync(`${seal}/checkpoint.witnessed`, kept.at(-1) ?? '')
    expect(await verify()).toMatchObject({
      ...{ verdict: 'good', anchor: 'witnessed' },
      witnesses: {
        ...{ size: 600, quorum: 2 },
        signed: [
          { name: 'w/1', timeSeconds: 1_795_381_262 },
          { name: 'w/2', timeSeconds: 1_795_381_262 },
        ],
      },
    })
    const third = await newWitness('w/3')
    const three = [...witnesses, third.server.key.text]
    expect(await verify({ witnesses: three })).toMatchObject({
      findings: [{ message: '2 of 3 witnesses have signed a checkpoint of this log' }],
    })
    expect(await verify({ witnesses: three, quorum: 2 })).toMatchObject({ anchor: 'witnessed' })
    // The log and its seal are put back, and the cosigned note is kept elsewhere.
    writeLines(log, LINES.slice(0, 500))
    await writeSeal(seal, signer, [{ file: 'exec.log', lines: LINES.slice(0, 500) }])
    const file = folder.path('witnessed')
    writeFileSync(file, kept.at(-1) ?? '')
    expect(await verify({ checkpoint: file })).toMatchObject({
      ...{ verdict: 'broken', byKind: { 'rolled back': 1 } },
    })
  })
})
