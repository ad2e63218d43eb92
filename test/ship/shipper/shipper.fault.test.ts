import { mkdirSync, readdirSync, readlinkSync } from 'node:fs'
import { openStream } from '../../../src/ship/open-stream'
import {
  openShipper,
  type RunningShipper,
  type ShipperOptions,
  shipOnce,
} from '../../../src/ship/shipper/open-shipper'
import { startCli } from '../../support/cli'
import { Random } from '../../support/random'
import { drawSeed } from '../../support/seed'
import { ENGINES } from '../../support/servers/engines'
import { TcpProxy } from '../../support/servers/tcp-proxy'
import type { TestServer } from '../../support/servers/test-server'
import { RotatedLog } from '../../support/ship/rotated-log'
import { shippedLines } from '../../support/ship/shipped'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'
import { pause, until } from '../../support/waiting'

jest.setTimeout(1_800_000)

const KILLS = times('SHIP_KILLS', 5, 100)
const FAULTS = times('SHIP_FAULTS', 5, 50)

/** The paths of this process's open files. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)]
    } catch {
      // It is closed by now, as that of the folder itself.
      return []
    }
  })
}

describe.each(ENGINES)('a shipper to %s', (_, engine) => {
  const { it } = engine
  const dir = useTempDir()
  let server: TestServer
  let proxy: TcpProxy
  let random: Random
  let log: RotatedLog
  let options: ShipperOptions
  let notes: string[]
  const running = new Set<RunningShipper>()

  beforeEach(async () => {
    if (it === test.skip) return
    server = await engine.start()
    proxy = await TcpProxy.start(server.port)
    await engine.make(server, 'LOG')
    mkdirSync(dir.path('log'))
    random = new Random(drawSeed())
    log = new RotatedLog(dir.path('log/exec.log'), random)
    notes = []
    options = {
      log: log.path,
      to: engine.url(server.address),
      stream: 'LOG',
      timeoutMs: 500,
      spareMs: 300,
      onNote: ({ kind }) => notes.push(kind),
    }
  })
  afterEach(async () => {
    await Promise.all([...running].map((shipper) => shipper.close()))
    running.clear()
    await proxy?.stop()
    await server?.stop()
  })

  const proxied = () => ({ ...options, to: engine.url(proxy.address) })

  async function open(its: ShipperOptions): Promise<RunningShipper> {
    const shipper = await openShipper(its)
    running.add(shipper)
    return shipper
  }

  /** Writes for some time, a few times per turn of the event loop. */
  async function writeFor(ms: number): Promise<void> {
    const end = performance.now() + ms
    for (; performance.now() < end; await pause(random.below(20))) log.write()
  }

  /** Waits until all is shipped, and compares. */
  async function compare(shipper: RunningShipper): Promise<void> {
    let ended: unknown
    shipper.ended.catch((thrown: unknown) => {
      ended = thrown
    })
    const isShipped = () => shipper.stats().index === log.lines.length || ended !== undefined
    await until('not all is shipped', isShipped, 60_000)
    expect(ended).toBeUndefined()
    expect(await shippedLines(options.to, 'LOG')).toEqual(log.lines)
  }

  it(`ships each line once, in order, over ${KILLS} kills of the shipper`, async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      const state = random.chance(0.5) ? ['--state', dir.path('state')] : []
      const to = ['--to', options.to, '--stream', 'LOG']
      const { child, end, output } = startCli(['ship', '--log', log.path, ...to, ...state])
      await writeFor(200 + random.below(600))
      child.kill('SIGKILL')
      await end
      expect(output.stderr.replace(/^x0x-exec-audit: (shipping|waiting).*\n/gm, '')).toBe('')
      const stream = await openStream(options.to, { stream: 'LOG' })
      const { message } = await stream.tail()
      await stream.close()
      if (random.chance(0.5)) log.deleteBefore(message?.index ?? 0)
    }
    await shipOnce(options)
    expect(await shippedLines(options.to, 'LOG')).toEqual(log.lines)
    process.stdout.write(`    ${log.lines.length} lines, lost 0, twice 0, out of order 0\n`)
  })

  it(`ships each line once, in order, over ${KILLS} kills of the server`, async () => {
    const shipper = await open({ ...options, state: dir.path('state') })
    for (let kill = 0; kill < KILLS; kill++) {
      await writeFor(random.below(300))
      await server.kill()
      await writeFor(random.below(100))
      await server.restart()
    }
    await compare(shipper)
    expect(notes).toContain('outage')
    expect(notes).toContain('back')
    process.stdout.write(`    ${log.lines.length} lines, lost 0, twice 0, out of order 0\n`)
  })

  it('ships files that are rotated and deleted in an outage', async () => {
    const shipper = await open(options)
    log.append(10)
    await until('10', () => shipper.stats().index === log.lines.length)
    await server.kill()
    for (let rotation = 0; rotation < 3; rotation++) {
      log.append(20)
      await until('it is not opened', () => openFiles().includes(log.path))
      // It is kept once the look that has opened it is over.
      const { failures } = shipper.stats()
      await until('no further attempt', () => shipper.stats().failures > failures)
      log.rotate()
    }
    log.append(1)
    log.deleteBefore(log.lines.length - 1)
    await server.restart()
    await compare(shipper)
  })

  it(`ships each line once over ${FAULTS} cuts between store and acknowledgement`, async () => {
    const shipper = await open(proxied())
    for (let fault = 0; fault < FAULTS; fault++) {
      await writeFor(random.below(200))
      proxy.cutBeforeAnswer()
    }
    await compare(shipper)
  })

  it('ships each line once if acknowledgements are swallowed', async () => {
    const shipper = await open(proxied())
    for (let fault = 0; fault < 2; fault++) {
      proxy.swallow(true)
      await writeFor(700)
      proxy.swallow(false)
      proxy.cut()
      await writeFor(100)
    }
    await compare(shipper)
  })

  it('ships each line once if the server stands still for longer than an answer may take', async () => {
    const shipper = await open(options)
    for (let fault = 0; fault < 2; fault++) {
      await writeFor(100)
      server.pause()
      await writeFor(800 + random.below(400))
      server.resume()
    }
    await compare(shipper)
  })

  it('lets one of two shippers wait, which takes over when the other one dies', async () => {
    const args = ['ship', '--log', log.path, '--to', options.to, '--stream', 'LOG']
    log.write()
    const first = startCli(args)
    await until('the first one ships', () => first.output.stderr.includes('shipping'))
    const second = await open(options)
    for (let turn = 0; turn < 2; turn++) {
      await writeFor(500)
      first.child.kill('SIGSTOP')
      await writeFor(700)
      first.child.kill('SIGCONT')
    }
    first.child.kill('SIGKILL')
    await first.end
    await compare(second)
    expect(first.output.stderr.replace(/^x0x-exec-audit: (shipping|waiting).*\n/gm, '')).toBe('')
  })

  it('waits for room in a full stream, and goes on', async () => {
    await engine.remove(server, 'LOG')
    await engine.make(server, 'LOG', { maxBytes: 1_500_000 })
    const shipper = await open(options)
    let ended: unknown
    shipper.ended.catch((thrown: unknown) => {
      ended = thrown
    })
    const isOver = () => notes.includes('outage') || ended !== undefined
    for (; !isOver(); await pause(5)) log.append(400)
    expect(ended).toBeUndefined()
    const stored = await shippedLines(options.to, 'LOG')
    expect(stored).toEqual(log.lines.slice(0, stored.length))
    // Again and again: what has gathered meanwhile may need more room than the stream ever has.
    for (; !notes.includes('back'); await pause(20)) await engine.trim(server, 'LOG', 1)
    await shipper.close()
    expect(notes.filter((kind) => kind !== 'outage' && kind !== 'back')).toEqual([])
  })
})
