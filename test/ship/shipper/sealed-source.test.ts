import { appendFileSync, cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { initSeal, sealOnce } from '../../../src/seal/sealer/open-sealer'
import type { ResolvedPlace } from '../../../src/seal/sealer/seal-options'
import { openShipper, type ShipperOptions, shipOnce } from '../../../src/ship/shipper/open-shipper'
import { runCli } from '../../support/cli'
import { AGENT_ID, MACHINE_ID } from '../../support/events'
import { newPlace } from '../../support/seal/sealer-place'
import { ENGINES } from '../../support/servers/engines'
import type { TestServer } from '../../support/servers/test-server'
import { messagesOf } from '../../support/ship/shipped'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

jest.setTimeout(120_000)

/** A denial, newline included. */
function lineOf(n: number): string {
  const event = {
    event: 'denial',
    ts_unix_ms: n,
    request_id: n.toString(16).padStart(32, '0'),
    agent_id: AGENT_ID,
    machine_id: MACHINE_ID,
    argv: [String(n)],
    reason: 'argv_not_allowed',
  }
  return `${JSON.stringify(event)}\n`
}

describe.each(ENGINES)('a sealed log in %s', (_, engine) => {
  const dir = useTempDir()
  let server: TestServer
  let count = 0
  let options: ShipperOptions
  let place: ResolvedPlace

  const { it } = engine
  beforeAll(async () => {
    if (it !== test.skip) server = await engine.start()
  })
  afterAll(() => server?.stop())
  beforeEach(async () => {
    if (server === undefined) return
    const stream = `S${count++}`
    await engine.make(server, stream)
    mkdirSync(dir.path('log'))
    place = newPlace(dir.path('.'), dir.path('log/exec.log'))
    await initSeal(place)
    options = {
      ...{ log: place.log, seal: place.seal, stream },
      to: engine.url(server.address),
      onNote: () => undefined,
    }
  })

  const write = (...numbers: readonly number[]) =>
    appendFileSync(place.log, numbers.map(lineOf).join(''))
  const seal = () => sealOnce(place, { onNote: () => undefined })
  /** Lines by their number, checkpoints by their size, others by their body. */
  const shipped = async () =>
    (await messagesOf(options.to, options.stream)).map(({ kind, body, index, origin }) => {
      expect(origin).toBe('gw1.example.com/exec')
      const text = body.toString()
      if (kind === 'checkpoint') return `size ${index} ${text.split('\n')[1]}`
      return kind === 'line' ? `${index} ${/"argv":\["(\d+)"/.exec(text)?.[1]}` : text
    })

  it('ships lines once they are sealed, and each checkpoint once, behind them', async () => {
    write(1, 2)
    await shipOnce(options)
    expect(await shipped()).toEqual([])
    await seal()
    await shipOnce(options)
    await shipOnce(options)
    expect(await shipped()).toEqual(['0 1', '1 2', 'size 2 2'])
    renameSync(place.log, `${place.log}.1`)
    write(3)
    appendFileSync(`${place.log}.1`, lineOf(4))
    await seal()
    write(5)
    await shipOnce(options)
    expect((await shipped()).slice(3)).toEqual(['2 4', '3 3', 'size 4 4'])
  })

  it('follows the sealer', async () => {
    const shipper = await openShipper(options)
    write(1)
    await seal()
    await until('1', () => shipper.stats().index === 1)
    write(2, 3)
    await seal()
    await until('3', () => shipper.stats().index === 3)
    await shipper.close()
    await shipOnce(options)
    expect(await shipped()).toEqual(['0 1', 'size 1 1', '1 2', '2 3', 'size 3 3'])
  })

  it('says which lines are gone, and leaves a record with their number if that is accepted', async () => {
    write(1, 2, 3)
    await seal()
    renameSync(place.log, `${place.log}.1`)
    write(4)
    await seal()
    rmSync(`${place.log}.1`)
    const reason = 'the file with the lines 0 to 2, which was exec.log, is gone'
    await expect(shipOnce(options)).rejects.toThrow(`${reason}; restore it, or --accept-gap`)
    await shipOnce({ ...options, acceptGap: true })
    const gap = JSON.stringify({ gap: { from: 0, to: 2, reason } })
    expect(await shipped()).toEqual([gap, '3 4', 'size 4 4'])
  })

  it('stops at a line that is not the one that was sealed', async () => {
    write(1, 2)
    await seal()
    writeFileSync(place.log, lineOf(1) + lineOf(9))
    await expect(shipOnce(options)).rejects.toThrow(
      'exec.log: the line 1 is not the one that was sealed',
    )
  })

  it('is a witness: log and seal that are put back together differ from the stream', async () => {
    write(1)
    await seal()
    const old = dir.path('old')
    for (const name of ['log', 'seal']) cpSync(dir.path(name), join(old, name), { recursive: true })
    write(2, 3)
    await seal()
    await shipOnce(options)
    const verify = () => {
      const key = ['--seal', place.seal, '--key', place.key.text]
      const kept = ['--checkpoint', options.to, '--stream', options.stream]
      return runCli(['verify', place.log, ...key, ...kept])
    }
    expect(await verify()).toMatchObject({ code: 0 })
    for (const name of ['log', 'seal']) {
      rmSync(dir.path(name), { recursive: true })
      renameSync(join(old, name), dir.path(name))
    }
    const { code, stdout } = await verify()
    expect(code).toBe(1)
    expect(stdout).toContain('the seal has 1 lines, and had 3: it was put back to an older state')
    await expect(shipOnce(options)).rejects.toThrow(
      'the stream has the lines up to 2, and the seal only those up to 0: it was put back',
    )
  })
})
