import {
  appendFileSync,
  cpSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Signer } from '../../../src/seal/note/signer'
import { entryOf } from '../../../src/seal/tree/hashes'
import type { SealFinding, SealReport } from '../../../src/seal/verify/seal-report'
import {
  compareLog,
  type VerifySealOptions,
  verifySeal,
} from '../../../src/seal/verify/verify-seal'
import {
  eventLines,
  newSigner,
  requestOf,
  START_MS,
  writeLines,
  writeSeal,
} from '../../support/seal/hand-sealed'
import { useTempDir } from '../../support/temp-dir'

const folder = useTempDir()
/** Lines per file, the oldest first. */
const SIZES = [300, 300, 300]
const NAMES = ['exec.log.2', 'exec.log.1', 'exec.log']
const COUNT = 900

let signer: Signer
const seal = () => folder.path('seal')
const paths = () => NAMES.map(folder.path)
const path = (i: number) => folder.path(NAMES[i] ?? '')
const all = () => [0, 1, 2].map((i) => eventLines(SIZES[i] ?? 0, i * 300))

beforeEach(async () => {
  signer = newSigner(folder.path(''))
  for (const [i, lines] of all().entries()) writeLines(path(i), lines)
  await writeSeal(
    seal(),
    signer,
    all().map((lines, i) => ({ file: NAMES[i] ?? '', lines })),
  )
})

function verify(options: Partial<VerifySealOptions> = {}, files = paths()): Promise<SealReport> {
  const keys = [signer.key.text]
  return verifySeal(files, { seal: seal(), keys, clock: () => START_MS + COUNT, ...options })
}

/** What a finding says, without its text. */
const place = ({ kind, file, line, index, count, request }: SealFinding) => ({
  ...{ kind, file: relative(folder.path(''), file), line, index, count, request },
})

async function findings(options: Partial<VerifySealOptions> = {}, files = paths()) {
  const { verdict, findings: found } = await verify(options, files)
  expect(verdict).toBe('broken')
  return found.map(place)
}

function edit(i: number, change: (lines: string[]) => void): void {
  const lines = all()[i] ?? []
  change(lines)
  writeLines(path(i), lines)
}

const ONE = { count: 1, request: null }

describe('a good log', () => {
  it('is as it was sealed', async () => {
    const report = await verify()
    expect(report).toEqual({
      verdict: 'good',
      anchor: 'sealed',
      seal: seal(),
      checkpoint: {
        ...{ origin: 'log.example/gw1', size: COUNT, key: signer.key.text },
        root: readFileSync(`${seal()}/checkpoint`, 'utf8').split('\n')[2],
      },
      ...{ files: 3, lines: COUNT, sealedLines: COUNT, bytes: report.bytes },
      isRollbackChecked: false,
      witnesses: { size: 0, quorum: 0, signed: [] },
      ...{ older: [], lost: [], erased: 0, copies: [] },
      unsealed: { lines: 0, oldestMs: 0, file: null, line: null },
      ...{ unsure: null, byKind: {}, findings: [] },
    })
  })

  it('is read in the order of its rotation, and compressed', async () => {
    writeFileSync(folder.path('exec.log.2.gz'), gzipSync(readFileSync(path(0))))
    const both = [...paths().toReversed(), folder.path('exec.log.2.gz')]
    expect(await verify({}, both)).toMatchObject({ verdict: 'good', files: 3 })
    rmSync(path(0))
    const packed = [folder.path('exec.log.2.gz'), path(1), path(2)]
    expect(await verify({}, packed)).toMatchObject({ verdict: 'good', older: [] })
  })

  it('may have lost its oldest files, unless it is to be whole', async () => {
    const newer = paths().slice(1)
    expect(await verify({}, newer)).toMatchObject({
      verdict: 'good',
      older: [{ index: 0, count: 300 }],
    })
    expect(await verify({}, paths().slice(2))).toMatchObject({
      verdict: 'good',
      older: [
        { index: 0, count: 300 },
        { index: 300, count: 300 },
      ],
    })
    expect(await verify({ firstIndex: 300 }, newer)).toMatchObject({ verdict: 'good' })
    const gone = { kind: 'removed', file: 'exec.log.1', line: 1, request: null }
    expect(await findings({ firstIndex: 0 }, newer)).toEqual([{ ...gone, index: 0, count: 300 }])
    expect(await findings({ firstIndex: 200 }, newer)).toEqual([
      { ...gone, index: 200, count: 100 },
    ])
  })

  it('may have lines that are not sealed yet, for a while', async () => {
    appendFileSync(path(2), `${eventLines(5, COUNT).join('\n')}\n{"event":`)
    const unsealed = { lines: 5, oldestMs: 60_000, file: path(2), line: 301 }
    expect(await verify({ clock: () => START_MS + COUNT + 60_000 })).toMatchObject({
      ...{ verdict: 'good', unsealed, lines: COUNT + 5, sealedLines: COUNT },
    })
    expect(await verify({ clock: () => START_MS + COUNT + 3_600_000 })).toMatchObject({
      verdict: 'unsure',
      unsure: 'the oldest line that is not sealed waits for 3,600 s: does the sealer run?',
    })
    const patient = { maxUnsealedMs: 3_600_000, clock: () => START_MS + COUNT + 3_600_000 }
    expect(await verify(patient)).toMatchObject({ verdict: 'good' })
  })

  it('may have been rotated since: the lines that were added then are not sealed yet either', async () => {
    appendFileSync(path(2), `${eventLines(6, COUNT).join('\n')}\n`)
    const newest = folder.path('newest')
    writeLines(newest, eventLines(4, COUNT + 6))
    expect(await verify({}, [...paths(), newest])).toMatchObject({
      verdict: 'good',
      unsealed: { lines: 10, file: path(2), line: 301 },
    })
  })

  it('is good with a late group in a renamed file, with hints and without', async () => {
    const [a = [], b = []] = [eventLines(100), eventLines(100, 100)]
    const late = eventLines(6, 200)
    const rest = eventLines(50, 206)
    writeLines(path(1), [...a, ...late])
    writeLines(path(2), [...b, ...rest])
    const bytes = Buffer.byteLength(`${a.join('\n')}\n`)
    await writeSeal(seal(), signer, [
      { file: 'exec.log', lines: a },
      { file: 'exec.log', lines: b },
      { file: 'exec.log.1', lines: late, offset: bytes },
      { file: 'exec.log', lines: rest, offset: 1 },
    ])
    const files = paths().slice(1)
    expect(await verify({ firstIndex: 0 }, files)).toMatchObject({ verdict: 'good' })
    rmSync(`${seal()}/segments`)
    expect(await verify({ firstIndex: 0 }, files)).toMatchObject({ verdict: 'good' })
    writeFileSync(`${seal()}/segments`, 'nonsense\n{}\n')
    expect(await verify({ firstIndex: 0 }, files)).toMatchObject({ verdict: 'good' })
  })

  it('is good with another copy of a file, and with repeated and blank lines', async () => {
    cpSync(path(0), folder.path('copy'))
    expect(await verify({}, [...paths(), folder.path('copy')])).toMatchObject({
      verdict: 'good',
      copies: [folder.path('copy')],
    })
    const lines = ['', ...eventLines(3), '', '', ...eventLines(3), ...eventLines(3), '']
    writeLines(path(2), lines)
    await writeSeal(seal(), signer, [{ file: 'exec.log', lines }])
    expect(await verify({ firstIndex: 0 }, [path(2)])).toMatchObject({
      verdict: 'good',
      copies: [],
    })
  })

  it('is empty, or not sealed yet', async () => {
    await writeSeal(seal(), signer, [])
    expect(await verify()).toMatchObject({ verdict: 'good', unsealed: { lines: COUNT } })
    for (const file of paths()) writeFileSync(file, '')
    expect(await verify()).toMatchObject({ verdict: 'good', lines: 0 })
  })

  it('is UNANCHORED without a key', async () => {
    expect(await verify({ keys: [] })).toMatchObject({
      verdict: 'good',
      anchor: 'unanchored',
      checkpoint: { origin: 'log.example/gw1', key: null },
    })
  })
})

describe('lines that are not as they were sealed', () => {
  it('are changed', async () => {
    edit(1, (lines) => {
      lines[10] = (lines[10] ?? '').replace('"echo"', '"rm"').replace('"pid":4242', '"pid":1')
    })
    expect(await findings()).toEqual([
      {
        kind: 'changed',
        file: 'exec.log.1',
        line: 11,
        index: 310,
        count: 1,
        request: requestOf(310),
      },
    ])
  })

  it('are changed at the beginning and at the end of a file', async () => {
    for (const i of [0, 1, 2]) {
      edit(i, (lines) => {
        lines[0] = 'first'
        lines[299] = 'last'
      })
    }
    expect(await findings()).toEqual(
      [0, 299, 300, 599, 600, 899].map((index) => ({
        ...{
          kind: 'changed',
          file: NAMES[Math.floor(index / 300)],
          line: (index % 300) + 1,
          index,
        },
        ...ONE,
      })),
    )
  })

  it('are all changed', async () => {
    edit(1, (lines) =>
      lines.forEach((line, i) => {
        lines[i] = `${line} `
      }),
    )
    const { byKind } = await verify()
    expect(byKind).toEqual({ changed: 300 })
  })

  it('are removed, one and many, also at the beginning of a file', async () => {
    edit(1, (lines) => {
      lines.splice(200, 70)
      lines.splice(10, 1)
    })
    expect(await findings()).toEqual([
      { kind: 'removed', file: 'exec.log.1', line: 11, index: 310, ...ONE },
      { kind: 'removed', file: 'exec.log.1', line: 200, index: 500, count: 70, request: null },
    ])
    edit(1, () => undefined)
    edit(0, (lines) => lines.splice(0, 3))
    expect(await findings()).toEqual([
      { kind: 'removed', file: 'exec.log.2', line: 1, index: 0, count: 3, request: null },
    ])
  })

  it('are inserted, also another copy of a sealed one', async () => {
    edit(1, (lines) => {
      lines.splice(250, 0, lines[3] ?? '')
      lines.splice(10, 0, 'x', 'y')
    })
    expect(await findings()).toEqual([
      { kind: 'inserted', file: 'exec.log.1', line: 11, index: null, ...ONE },
      { kind: 'inserted', file: 'exec.log.1', line: 12, index: null, ...ONE },
      {
        kind: 'inserted',
        file: 'exec.log.1',
        line: 253,
        index: null,
        count: 1,
        request: requestOf(303),
      },
    ])
  })

  it('are swapped, near and far', async () => {
    edit(1, (lines) => {
      const [a = '', b = '', c = '', d = ''] = [10, 11, 100, 250].map((i) => lines[i])
      Object.assign(lines, { 10: b, 11: a, 100: d, 250: c })
    })
    const swapped = (line: number, index: number) => ({
      ...{ kind: 'swapped', file: 'exec.log.1', line, index, count: 1, request: requestOf(index) },
    })
    expect(await findings()).toEqual([
      swapped(11, 311),
      swapped(12, 310),
      swapped(101, 550),
      swapped(251, 400),
    ])
  })

  it('are cut off at the end', async () => {
    edit(2, (lines) => lines.splice(290))
    expect(await findings()).toEqual([
      { kind: 'truncated', file: 'exec.log', line: 291, index: 890, count: 10, request: null },
    ])
    edit(2, () => undefined)
    edit(0, (lines) => lines.splice(299))
    expect(await findings()).toEqual([
      { kind: 'truncated', file: 'exec.log.2', line: 300, index: 299, ...ONE },
    ])
    // The writer goes on behind a cut.
    edit(0, () => undefined)
    edit(2, (lines) => lines.splice(290, 10, ...eventLines(3, COUNT)))
    expect((await findings())[0]).toMatchObject({ kind: 'changed', line: 291, index: 890 })
  })

  it('are in a file that is gone', async () => {
    expect(await findings({}, [path(0), path(2)])).toEqual([
      { kind: 'removed', file: 'exec.log.2', line: 301, index: 300, count: 300, request: null },
    ])
    expect(await findings({}, [path(0), path(1)])).toEqual([
      { kind: 'removed', file: 'exec.log.1', line: 301, index: 600, count: 300, request: null },
    ])
  })

  it('are added to a file after its rotation', async () => {
    appendFileSync(path(1), `${eventLines(2, COUNT).join('\n')}\n`)
    const clock = () => START_MS + COUNT + 3_600_000
    const added = (line: number, of: number) => ({
      ...{ kind: 'added after rotation', file: 'exec.log.1', line, index: null, count: 1 },
      request: requestOf(of),
    })
    expect(await findings({ clock })).toEqual([added(301, COUNT), added(302, COUNT + 1)])
    // The sealer watches a renamed file for groups that were on their way.
    expect(await verify()).toMatchObject({ verdict: 'good', unsealed: { lines: 2 } })
  })

  it('are added to a file after its rotation, and say a time that has not come yet', async () => {
    const years = 10 * 365 * 24 * 3_600_000
    const [line = ''] = eventLines(1, COUNT)
    appendFileSync(path(1), `${line.replace(`${START_MS + COUNT}`, `${START_MS + years}`)}\n`)
    const { ctimeMs } = statSync(path(1))
    utimesSync(path(1), START_MS + years, START_MS + years)
    expect(await findings({ clock: () => ctimeMs + 3_600_000 })).toEqual([
      {
        ...{ kind: 'added after rotation', file: 'exec.log.1', line: 301, index: null, count: 1 },
        request: requestOf(COUNT),
      },
    ])
  })

  it('are erased, with leave and without', async () => {
    const sha256 = entryOf(Buffer.from(eventLines(1, 310)[0] ?? '')).toString('hex')
    edit(1, (lines) => {
      lines[10] = `{"erased":"${sha256}"}`
    })
    expect(await findings()).toEqual([
      { kind: 'erased', file: 'exec.log.1', line: 11, index: 310, ...ONE },
    ])
    expect(await findings({ allowErased: [{ index: 311, count: 5 }] })).toHaveLength(1)
    expect(await verify({ allowErased: [{ index: 305, count: 6 }] })).toMatchObject({
      ...{ verdict: 'good', erased: 1 },
    })
    edit(1, (lines) => {
      lines[10] = `{"erased":"${sha256.replace(/./, (digit) => (digit === '0' ? '1' : '0'))}"}`
    })
    expect(await findings({ allowErased: [{ index: 310, count: 1 }] })).toEqual([
      { kind: 'changed', file: 'exec.log.1', line: 11, index: 310, ...ONE },
    ])
    edit(1, (lines) => {
      lines[10] = ''
    })
    expect(await findings()).toEqual([
      { kind: 'changed', file: 'exec.log.1', line: 11, index: 310, ...ONE },
    ])
  })
})

describe('lines that stand elsewhere in their file', () => {
  it('are found at its end', async () => {
    edit(0, (lines) => lines.push(...lines.splice(298, 1)))
    expect((await findings()).map(({ kind, line, index }) => [kind, line, index])).toEqual([
      ['swapped', 300, 298],
    ])
  })

  it('are found as a block', async () => {
    edit(0, (lines) => lines.splice(150, 0, ...lines.splice(10, 100)))
    expect((await findings()).length).toBeGreaterThan(0)
  })
})

describe("a seal that is not the log's", () => {
  const about = { line: null, index: null, count: 0, request: null }

  it('is missing', async () => {
    rmSync(seal(), { recursive: true })
    expect(await findings()).toEqual([{ kind: 'no seal', file: 'seal', ...about }])
  })

  it('is another one, or signed by another key', async () => {
    const other = newSigner(folder.path(''))
    expect(await findings({ keys: [other.key.text] })).toEqual([
      { kind: 'bad signature', file: 'seal/checkpoint', ...about },
    ])
    await writeSeal(seal(), other, [{ file: 'exec.log', lines: all().flat() }])
    expect(await findings()).toEqual([{ kind: 'bad signature', file: 'seal/checkpoint', ...about }])
    const stranger = newSigner(folder.path(''), 'log.example/gw2')
    await writeSeal(seal(), stranger, [{ file: 'exec.log', lines: all().flat() }])
    expect(await findings()).toEqual([{ kind: 'bad signature', file: 'seal/checkpoint', ...about }])
  })

  it('has a checkpoint that is damaged', async () => {
    const file = `${seal()}/checkpoint`
    const note = readFileSync(file, 'utf8')
    for (const text of [
      '',
      note.slice(0, 40),
      note.replace('\n900\n', '\n800\n'),
      note.replace('\n900\n', '\n9007199254740993\n'),
    ]) {
      writeFileSync(file, text)
      expect(await findings()).toEqual([
        { kind: 'bad signature', file: 'seal/checkpoint', ...about },
      ])
    }
  })

  it.each(['tile/0/000', 'tile/0/003.p/132', 'tile/1/000.p/3'])(
    'has %s changed, cut or missing',
    async (tile) => {
      const file = `${seal()}/${tile}`
      const bytes = readFileSync(file)
      const changed = Buffer.from(bytes)
      changed[40] = (changed[40] ?? 0) ^ 1
      writeFileSync(file, changed)
      const expected = [{ kind: 'tile changed', file: 'seal', ...about }]
      expect(await findings()).toEqual(expected)
      expect((await verify()).findings[0]?.message.startsWith(`${tile}: it was changed`)).toBe(true)
      writeFileSync(file, bytes.subarray(1))
      expect(await findings()).toEqual(expected)
      rmSync(file)
      expect(await findings()).toEqual(expected)
    },
  )

  it('was put back to an older state together with the log', async () => {
    const kept = folder.path('kept')
    cpSync(`${seal()}/checkpoint`, kept)
    expect(await verify({ checkpoint: kept })).toMatchObject({
      verdict: 'good',
      isRollbackChecked: true,
    })
    writeLines(path(2), eventLines(100, 600))
    const older = [...all().slice(0, 2), eventLines(100, 600)]
    await writeSeal(
      seal(),
      signer,
      older.map((lines, i) => ({ file: NAMES[i] ?? '', lines })),
    )
    expect(await verify()).toMatchObject({ verdict: 'good', isRollbackChecked: false })
    expect(await findings({ checkpoint: kept })).toEqual([
      { kind: 'rolled back', file: 'kept', ...about },
    ])
    // It has grown again, to another log.
    writeLines(path(2), eventLines(400, 601))
    const forked = [...all().slice(0, 2), eventLines(400, 601)]
    await writeSeal(
      seal(),
      signer,
      forked.map((lines, i) => ({ file: NAMES[i] ?? '', lines })),
    )
    expect(await findings({ checkpoint: kept })).toEqual([
      { kind: 'rolled back', file: 'kept', ...about },
    ])
  })

  it('was put back behind its own history', async () => {
    const newer = readFileSync(`${seal()}/checkpoints`)
    writeLines(path(2), eventLines(100, 600))
    const older = [...all().slice(0, 2), eventLines(100, 600)]
    await writeSeal(
      seal(),
      signer,
      older.map((lines, i) => ({ file: NAMES[i] ?? '', lines })),
    )
    appendFileSync(`${seal()}/checkpoints`, newer)
    expect((await findings()).map(({ kind }) => kind)).toContain('tile changed')
  })
})

describe('a re-anchored seal', () => {
  const newer = () => newSigner(folder.path(''), 'log.example/gw1/2')

  async function reanchor(next: Signer, lines = eventLines(50, COUNT)): Promise<void> {
    const checkpoint = readFileSync(`${seal()}/checkpoint`, 'utf8')
    cpSync(seal(), `${seal()}.1`, { recursive: true })
    const text = JSON.stringify({
      reason: 'a restored snapshot',
      time: 1,
      folder: 'seal.1',
      checkpoint,
    })
    await writeSeal(seal(), next, [{ file: 'exec.log', lines, offset: 1 }], text)
    appendFileSync(path(2), `${lines.join('\n')}\n`)
  }

  it('is good with its new key, and its old tree stays checked', async () => {
    const next = newer()
    await reanchor(next)
    const keys = [next.key.text]
    expect(await verify({ keys, firstIndex: undefined })).toMatchObject({
      ...{ verdict: 'good', sealedLines: COUNT + 50, unsealed: { lines: 0 } },
    })
    expect(await verify({ keys: [signer.key.text, next.key.text] })).toMatchObject({
      verdict: 'good',
    })
    edit(1, (lines) => {
      lines[10] = 'x'
    })
    expect(await findings({ keys })).toEqual([
      { kind: 'changed', file: 'exec.log.1', line: 11, index: 310, ...ONE },
    ])
  })

  it('is reported to who knows only the old key', async () => {
    await reanchor(newer())
    const { findings: found } = await verify()
    expect(found.map(({ kind, message }) => [kind, message])).toEqual([
      ['re-anchored', 're-anchored at line 900: a restored snapshot'],
    ])
  })

  it('may have lost the end of its old tree', async () => {
    const next = newer()
    edit(2, (lines) => lines.splice(250))
    await reanchor(next)
    expect(await verify({ keys: [next.key.text] })).toMatchObject({
      verdict: 'good',
      lost: [{ index: 850, count: 50 }],
    })
  })

  it('has to have the reason that was sealed', async () => {
    const next = newer()
    await reanchor(next)
    const file = `${seal()}/reanchor`
    writeFileSync(file, readFileSync(file, 'utf8').replace('snapshot', 'log'))
    expect((await findings({ keys: [next.key.text] }))[0]).toMatchObject({
      ...{ kind: 'changed', file: 'seal/reanchor' },
    })
  })
})

describe('a log that is rotated while it is read', () => {
  /** Verifies, and rotates once the files are open: in the first attempts, as often as `times` says. */
  async function verifyRotated(times: number) {
    let attempts = 0
    const options = { seal: seal(), keys: [signer.key.text], clock: () => START_MS + COUNT }
    const { report } = await compareLog(paths(), options, () => {
      if (attempts++ < times) {
        renameSync(path(0), folder.path(`exec.log.${2 + attempts}`))
        renameSync(path(1), path(0))
        renameSync(path(2), path(1))
        writeLines(path(2), [])
      }
      return () => undefined
    })
    return { attempts, verdict: report.verdict, unsure: report.unsure, older: report.older }
  }

  it('is read once more', async () => {
    expect(await verifyRotated(1)).toEqual({
      ...{ attempts: 2, verdict: 'good', unsure: null },
      older: [{ index: 0, count: 300 }],
    })
  })

  it('leaves the verdict open once it was begun again three times', async () => {
    expect(await verifyRotated(4)).toEqual({
      ...{ attempts: 4, verdict: 'unsure', older: expect.any(Array) },
      unsure: 'the log was rotated again and again while it was read; verify it once more',
    })
  })
})

describe('what is given', () => {
  it('is refused if it cannot be used at all', async () => {
    const refusal = (options: Partial<VerifySealOptions>, files = paths()) =>
      verify(options, files).then(() => 'none', String)
    const { text } = signer.key
    expect(await refusal({ witnesses: [text] })).toBe(
      "SealError: the key of log.example/gw1 is a log's, and no witness's",
    )
    expect(await refusal({ quorum: 1 })).toBe(
      'SealError: the quorum must be from 1 to 0, the number of witnesses, got 1',
    )
    expect(await refusal({ checkpoint: folder.path('none') })).toMatch(
      /^SealError: cannot read the checkpoint /,
    )
    expect(await refusal({}, [folder.path('none')])).toMatch(/^SealError: cannot open /)
    expect(await refusal({}, [folder.path('')])).toBe(
      `SealError: ${folder.path('')} is no regular file; name the log's files`,
    )
  })
})
