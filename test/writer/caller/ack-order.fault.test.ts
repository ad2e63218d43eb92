import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runChild } from '../../support/children/run-child'
import { itWithStrace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'
import { readTrace, type TracedCall } from '../../support/trace'

const WORKER = join(__dirname, '../../../dist/writer/worker/exec-audit-worker.js')
/** Longer than any group's text: strace must not cut it. */
const STRING_MAX = 4_000_000

/**
 * Keeps `inFlight` events in flight, and writes each acknowledgement to standard output by a system call
 * of its own, so that the trace holds it in its order.
 */
const SCRIPT = `
const fs = require('node:fs')
const [, , events, inFlight, options] = process.argv
const say = (text) => {
  // The pipe is full while its reader is busy.
  for (;;) try { return fs.writeSync(1, text) } catch (error) { if (error.code !== 'EAGAIN') throw error }
}
const run = async () => {
  const audit = open(JSON.parse(options))
  let pid = 0
  const loop = async () => {
    while (pid < Number(events)) {
      const mine = pid++
      const outcome = await audit.started({ requestId, pid: mine })
      say('ack ' + mine + ' ' + outcome + '\\n')
    }
  }
  await Promise.all(Array.from({ length: Number(inFlight) }, loop))
  await audit.close()
}
run()
`

/** One opening of a file. A descriptor's number may be another opening's later. */
interface Opened {
  readonly path: string
  readonly isCreated: boolean
  /** Pids of lines that were written through it, in order, and are not known to be synced. */
  readonly written: number[]
}

/** The oracle: follows descriptors from call to call, and knows at each moment which lines are safe. */
class Judge {
  readonly #log: string
  /** Folders that must be synced after the log was created: its own, and the one above, made with it. */
  readonly #folders: readonly string[]
  readonly #descriptors = new Map<number, Opened>()
  /** The opening, and how many of its lines had been written when the sync began. */
  readonly #syncing = new Map<string, { opened: Opened; covered: number; after: number }>()
  readonly #safe = new Set<number>()
  /** By folder: the number of the creation that its last sync came after. */
  readonly #folderSynced = new Map<string, number>()
  #creations = 0
  readonly early = new Set<number>()
  readonly acknowledged = new Set<number>()
  /** Syncs that made lines safe. */
  syncs = 0

  constructor(log: string) {
    this.#log = log
    this.#folders = [dirname(log), dirname(dirname(log))]
  }

  onBegin({ name, args }: TracedCall): void {
    if (name === 'write') this.#acknowledge(args)
    if (name !== 'fdatasync' && name !== 'fsync') return
    const opened = this.#descriptors.get(Number(args))
    if (opened === undefined) return
    this.#syncing.set(args, { opened, covered: opened.written.length, after: this.#creations })
  }

  onEnd({ name, args, result }: TracedCall & { readonly result: number }): void {
    if (name === 'openat') this.#open(args, result)
    else if (name === 'write') this.#write(args, result)
    else this.#synced(args, result)
  }

  #open(args: string, fd: number): void {
    if (fd < 0) return
    const path = /^AT_FDCWD, "([^"]*)"/.exec(args)?.[1] ?? ''
    const isCreated = path === this.#log && args.includes('O_CREAT')
    if (isCreated) this.#creations++
    this.#descriptors.set(fd, { path, isCreated, written: [] })
  }

  #write(args: string, result: number): void {
    const opened = this.#descriptors.get(Number.parseInt(args, 10))
    if (opened?.path !== this.#log) return
    const length = Number(/, (\d+)$/.exec(args)?.[1])
    // Of a part it is not known here which lines are whole: none counts.
    if (result !== length) return
    for (const [, pid] of args.matchAll(/\\"pid\\":(\d+)}\\n/g)) opened.written.push(Number(pid))
  }

  #synced(args: string, result: number): void {
    const sync = this.#syncing.get(args)
    this.#syncing.delete(args)
    if (sync === undefined || result !== 0) return
    const { opened, covered, after } = sync
    if (this.#folders.includes(opened.path)) this.#folderSynced.set(opened.path, after)
    if (opened.path !== this.#log || covered === 0) return
    this.syncs++
    for (const pid of opened.written.splice(0, covered)) this.#safe.add(pid)
  }

  /** An acknowledgement is early if its line, or the name of the file that holds it, is not safe. */
  #acknowledge(args: string): void {
    const [, pid, outcome] = /^1, "ack (\d+) (\w+)\\n"/.exec(args) ?? []
    if (pid === undefined) return
    const isNamed = this.#folders.every((f) => this.#folderSynced.get(f) === this.#creations)
    const isSafe = this.#safe.has(Number(pid)) && isNamed && outcome === 'durable'
    // The first attempt counts, even if the pipe was full and there is a second one.
    if (!isSafe && !this.acknowledged.has(Number(pid))) this.early.add(Number(pid))
    this.acknowledged.add(Number(pid))
  }
}

describe('an acknowledgement', () => {
  const dir = useTempDir()

  const judge = async (events: number, inFlight: number, options: object): Promise<Judge> => {
    const [trace, log] = [dir.path('trace'), dir.path('new/exec.log')]
    const calls = 'trace=openat,write,fdatasync,fsync'
    const tracer = ['strace', '-f', '-qq', '-s', String(STRING_MAX), '-e', calls, '-o', trace]
    const args = [log, String(events), String(inFlight), JSON.stringify(options)]
    const end = await runChild(SCRIPT, args, tracer)
    expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
    const judge = new Judge(log)
    await readTrace(trace, judge)
    return judge
  }

  // The shares make 100,000 events.
  itWithStrace.each([
    [1, {}, times('ACKS', 2_000, 10_000)],
    [64, {}, times('ACKS', 2_000, 30_000)],
    [1_024, {}, times('ACKS', 2_000, 30_000)],
    [1, { maxEvents: 1 }, times('ACKS', 2_000, 10_000)],
    [64, { maxEvents: 1 }, times('ACKS', 2_000, 10_000)],
    [1_024, { maxEvents: 1 }, times('ACKS', 2_000, 10_000)],
  ])(
    'comes after the sync of its line: %i in flight, fsync %j, %i events',
    async (inFlight, fsync, events) => {
      const { early, acknowledged, syncs } = await judge(events, inFlight, { fsync })
      expect([[...early], acknowledged.size]).toEqual([[], events])
      if (inFlight === 1 || 'maxEvents' in fsync) expect(syncs).toBe(events)
      else expect(syncs).toBeLessThan(events / 2)
    },
    300_000,
  )

  // Each breaks the real worker by one call; the oracle must see it.
  itWithStrace.each([
    ['without a sync', 'fs.fdatasyncSync = () => undefined'],
    [
      'after a sync that came before the write',
      'fs.writeSync = (fd, ...rest) => { sync(fd); return write(fd, ...rest) }\nfs.fdatasyncSync = () => undefined',
    ],
    [
      'after a sync of another opening',
      'fs.openSync = (...args) => (last = open(...args))\nfs.fdatasyncSync = () => sync(last)',
    ],
    ["without a sync of the new file's folder", 'fs.fsyncSync = () => undefined'],
  ])('%s would be found', async (_, mutation) => {
    const workerFile = dir.path('mutant.js')
    writeFileSync(
      workerFile,
      `const fs = require('node:fs')
       const { openSync: open, writeSync: write, fdatasyncSync: sync } = fs
       let last
       ${mutation}
       module.exports = require(${JSON.stringify(WORKER)})`,
    )
    const { early, acknowledged } = await judge(100, 64, { workerFile })
    expect(acknowledged.size).toBe(100)
    // A later sync may cover the lines before it, but never the last.
    expect(early).toContain(99)
  })
})
