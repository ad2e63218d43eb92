import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { parseArgs, styleText } from 'node:util'
import type { Worker } from 'node:worker_threads'
import { EARLY_END, untilDone } from '../../src/toolkit/early-end'
import { REQUEST_ID } from '../support/events'
import { randomFrom } from '../support/random'
import { pause } from '../support/waiting'
import { median, plot, quarter, type Sample, takeSample } from './curve'
import { type Excuse, LineCheck, NO_EXCUSE } from './line-check'

const HELP = `Usage: npm run soak -- [OPTIONS]

Records events for a long time while the log is rotated, deleted and truncated, the worker is killed and replaced by
one of another version, the process is stopped, and files of others take each descriptor that becomes free.
Checks that each line is there once and in order, that memory stays flat, that no descriptor stays open, and that
nothing is written to the files of others.

  --events N    the number of events (default 10,000,000)
  --seconds N   the time to run instead
  --seed N      replays the faults of a run
  --dir DIR     the folder that a temporary one is made in (default the system's)
  --help        this text`

const EVENTS_DEFAULT = 10_000_000
const IN_FLIGHT = 2_048
/** Milliseconds from one fault to the next, at most. */
const PAUSE_MS_MAX = 400
const SAMPLE_MS = 100
const PLAIN_PROGRESS_MS = 5_000
/** The last quarter's median memory may be above the second's by this share and these bytes. */
const RSS_TOLERANCE = 0.25
const RSS_TOLERANCE_BYTES = 32 * 2 ** 20
/**
 * A worker that is dead or starting has fewer; a worker that was ended while the kernel opened a file may also
 * leave that one open. A leak would be one per rotation.
 */
const DESCRIPTORS_TOLERANCE = 8
/** Files of others that are open at a time. */
const CANARIES = 16
const OTHER_VERSION = '9.8.7'
const STOP_SECONDS = 0.3
const WORKER = join(__dirname, '../../dist/writer/worker/exec-audit-worker.js')

type Package = typeof import('../../src')
const { ExecAudit, ExecDiagnostics }: Package = require('../../dist')

interface Limits {
  readonly events: number
  readonly seconds: number
  readonly seed: number
  readonly dir: string
}

function readLimits(): Limits | undefined {
  const text = { type: 'string' } as const
  const options = {
    events: text,
    seconds: text,
    seed: text,
    dir: text,
    help: { type: 'boolean' },
  } as const
  const { values } = parseArgs({ options })
  if (values.help) return undefined
  const number = (name: string, given: string | undefined, otherwise: number) => {
    const value = given === undefined ? otherwise : Number(given)
    if (value > 0) return value
    throw new RangeError(`--${name} wants a number above 0, got '${given}'`)
  }
  const isTimed = values.seconds !== undefined
  return {
    seconds: number('seconds', values.seconds, Number.POSITIVE_INFINITY),
    events: number('events', values.events, isTimed ? Number.POSITIVE_INFINITY : EVENTS_DEFAULT),
    seed: number('seed', values.seed, 1 + Math.floor(Math.random() * 2 ** 31)),
    dir: values.dir ?? tmpdir(),
  }
}

/** A descriptor of a file that is not the writer's. */
interface Canary {
  readonly path: string
  readonly fd: number
}

/** Stops this process with all its threads for some seconds. */
async function stopFor(seconds: number): Promise<void> {
  const script = 'kill -STOP "$1"; sleep "$2"; kill -CONT "$1"'
  const child = spawn('sh', ['-c', script, 'sh', `${process.pid}`, `${seconds}`])
  await once(child, 'close')
}

const thousands = (n: number) => Math.round(n).toLocaleString('en-US')

class Soak {
  readonly #limits: Limits
  readonly #path: string
  readonly #audit: InstanceType<Package['ExecAudit']>
  readonly #workers = new Set<Worker>()
  readonly #check = new LineCheck()
  readonly #samples: Sample[] = []
  readonly #faults: Record<string, number> = {}
  readonly #warnings: string[] = []
  /** While this file is there, the worker is of another version. */
  readonly #otherVersion: string
  readonly #canaries: Canary[] = []
  #workersLost = 0
  #workersBack = 0
  readonly #startedAt = performance.now()
  #recorded = 0
  #durable = 0
  #isOver = false

  constructor(limits: Limits, dir: string) {
    this.#limits = limits
    this.#path = join(dir, 'exec.log')
    process.on('worker', (worker) => {
      this.#workers.add(worker)
      worker.on('exit', () => this.#workers.delete(worker))
    })
    this.#otherVersion = join(dir, 'other-version')
    const workerFile = join(dir, 'worker.js')
    writeFileSync(
      workerFile,
      `const isOther = require('node:fs').existsSync(${JSON.stringify(this.#otherVersion)})
       module.exports = isOther ? { version: () => '${OTHER_VERSION}' } : require(${JSON.stringify(WORKER)})`,
    )
    const logger = { warn: (_: object, message: string) => this.#warned(message) }
    const policy = { enabled: true, auditLogPath: this.#path } as const
    const options = { clock: () => 0, logger, workerFile }
    this.#audit = new ExecAudit(policy, new ExecDiagnostics(), options)
  }

  /** A worker of another version is reported, and so is the one that takes its place. */
  #warned(message: string): void {
    if (message.includes(`of version ${OTHER_VERSION}`)) this.#workersLost++
    else if (message.includes('a worker writes') && this.#workersBack < this.#workersLost)
      this.#workersBack++
    else this.#warnings.push(message)
  }

  /** Returns the problems found. */
  async run(): Promise<string[]> {
    const watch = setInterval(() => this.#samples.push(takeSample(this.#workers.size)), SAMPLE_MS)
    const progressMs = process.stdout.isTTY ? 250 : PLAIN_PROGRESS_MS
    const progress = setInterval(() => this.#showProgress(), progressMs)
    const loops = Array.from({ length: IN_FLIGHT }, () => this.#record())
    const load = Promise.all(loops).finally(() => {
      this.#isOver = true
    })
    await Promise.all([load, this.#disturb()])
    clearInterval(watch)
    clearInterval(progress)
    const { drainer } = this.#audit.stats().worker
    await this.#audit.close()
    if (existsSync(this.#path)) this.#readBack(this.#path, 'the last file')
    this.#check.end(this.#recorded)
    return [...this.#problems(), ...(drainer === 'worker' ? [] : ['the worker was given up'])]
  }

  /** Ends the run early; the events recorded so far are checked. */
  stop(): void {
    this.#isOver = true
  }

  async #record(): Promise<void> {
    const { events, seconds } = this.#limits
    const endAt = this.#startedAt + seconds * 1_000
    while (!this.#isOver && this.#recorded < events && performance.now() < endAt) {
      await this.#recordNext()
    }
  }

  async #recordNext(): Promise<void> {
    const outcome = await this.#audit.started({ requestId: REQUEST_ID, pid: this.#recorded++ })
    if (outcome === 'durable') this.#durable++
  }

  /** One fault after another; all accepted events are settled before the next. */
  async #disturb(): Promise<void> {
    const random = randomFrom(this.#limits.seed)
    const faults = {
      ...{ rotate: 5, kill: 3, delete: 1, copytruncate: 1, chmod: 1 },
      ...{ stop: 1, otherVersion: 1 },
    } as const
    const names = Object.entries(faults).flatMap(([name, share]) => new Array(share).fill(name))
    this.#replaceCanaries('the start')
    while (!this.#isOver) {
      await pause(random() * PAUSE_MS_MAX)
      const name = String(names[Math.floor(random() * names.length)])
      if (this.#isOver || !existsSync(this.#path)) continue
      this.#faults[name] = (this.#faults[name] ?? 0) + 1
      await this.#fault(name)
      this.#replaceCanaries(name)
    }
    this.#closeCanaries('the last fault')
  }

  /** Checks the files of others, and opens new ones, in numbers that the writer may have had before. */
  #replaceCanaries(after: string): void {
    this.#closeCanaries(after)
    for (let i = 0; i < CANARIES; i++) {
      const path = `${this.#path}.canary${i}`
      this.#canaries.push({ path, fd: openSync(path, 'w') })
    }
  }

  #closeCanaries(after: string): void {
    for (const { path, fd } of this.#canaries.splice(0)) {
      const isOurs = readlinkSync(`/proc/self/fd/${fd}`) === path
      if (isOurs && fstatSync(fd).size === 0) closeSync(fd)
      else this.#warnings.push(`${after} wrote to or closed a file of others: ${path}`)
    }
  }

  /** Until the worker of another version was given up, and one of this version is back. */
  async #useOtherVersion(): Promise<void> {
    const before = this.#workersLost
    writeFileSync(this.#otherVersion, '')
    for (const worker of this.#workers) await worker.terminate()
    while (this.#workersLost === before && this.#warnings.length === 0) await this.#recordNext()
    unlinkSync(this.#otherVersion)
    while (this.#audit.stats().worker.drainer !== 'worker') await this.#recordNext()
  }

  async #fault(name: string): Promise<void> {
    const aside = `${this.#path}.${name}`
    switch (name) {
      case 'rotate':
        renameSync(this.#path, aside)
        await this.#audit.drain()
        return this.#readBack(aside, 'a rotated file')
      case 'delete': {
        // The deleted file is read through a descriptor. A group that was being written is in both files.
        const fd = openSync(this.#path, 'r')
        unlinkSync(this.#path)
        await this.#audit.drain()
        this.#check.read(fd, 'a deleted file', { mayRepeat: true, mayBeginBefore: 0 })
        return closeSync(fd)
      }
      case 'copytruncate': {
        // Lines written between the two calls are lost, as they are with logrotate.
        copyFileSync(this.#path, aside)
        truncateSync(this.#path)
        const mayBeginBefore = this.#recorded
        await this.#audit.drain()
        return this.#readBack(aside, 'a copied file', { mayRepeat: false, mayBeginBefore })
      }
      case 'kill':
        for (const worker of this.#workers) await worker.terminate()
        return this.#audit.drain()
      case 'stop':
        await stopFor(STOP_SECONDS)
        return this.#audit.drain()
      case 'otherVersion':
        return this.#useOtherVersion()
      case 'chmod':
        chmodSync(this.#path, 0)
        await this.#audit.drain()
        return chmodSync(this.#path, 0o600)
    }
  }

  #readBack(file: string, name: string, excuse: Excuse = NO_EXCUSE): void {
    const fd = openSync(file, 'r')
    this.#check.read(fd, name, excuse)
    closeSync(fd)
    unlinkSync(file)
  }

  #problems(): string[] {
    const problems = [...this.#check.problems, ...new Set(this.#warnings)]
    const must = (isSo: boolean, problem: string) => {
      if (!isSo) problems.push(problem)
    }
    must(
      this.#durable === this.#recorded,
      `${this.#recorded - this.#durable} events were not durable`,
    )
    const middle = (number: number, of: (sample: Sample) => number) =>
      median(quarter(this.#samples, number).map(of))
    const rss = [1, 3].map((number) => middle(number, (sample) => sample.rss))
    const [before = 0, after = 0] = rss
    const limit = before * (1 + RSS_TOLERANCE) + RSS_TOLERANCE_BYTES
    must(after <= limit, `memory grew from ${thousands(before)} to ${thousands(after)} bytes`)
    const [fdsBefore = 0, fdsAfter = 0] = [1, 3].map((n) => middle(n, (s) => s.descriptors))
    const { deaths } = this.#audit.stats().worker
    const isLeaking = fdsAfter > fdsBefore + deaths + DESCRIPTORS_TOLERANCE
    must(!isLeaking, `open descriptors went from ${fdsBefore} to ${fdsAfter}`)
    must(middle(3, ({ workers }) => workers) <= 1, 'there is more than one worker')
    must(this.#workers.size === 0, `${this.#workers.size} workers outlive close()`)
    return problems
  }

  #showProgress(): void {
    const { events, seconds } = this.#limits
    const elapsed = (performance.now() - this.#startedAt) / 1_000
    const share = Math.max(this.#recorded / events, elapsed / seconds)
    const sample = this.#samples.at(-1)
    const line = [
      `${thousands(this.#durable)} durable`,
      `${thousands(this.#durable / elapsed)}/s`,
      `${((sample?.rss ?? 0) / 2 ** 20).toFixed(0)} MiB`,
      `${sample?.descriptors} descriptors`,
      `${Object.values(this.#faults).reduce((sum, n) => sum + n, 0)} faults`,
      `${thousands(Math.max(0, elapsed / share - elapsed))} s to go`,
    ].join(', ')
    process.stdout.write(process.stdout.isTTY ? `\r\x1b[2K${line}` : `${line}\n`)
  }

  /** The faults, and the memory over time. */
  summary(): string {
    const seconds = (performance.now() - this.#startedAt) / 1_000
    const { lines, excused, repeated } = this.#check
    return [
      `${thousands(this.#durable)} events in ${seconds.toFixed(0)} s; ${thousands(lines)} lines read back`,
      `faults: ${Object.entries(this.#faults)
        .map(([name, n]) => `${name} ${n}`)
        .join(', ')}`,
      `${excused} lines were cut off by copytruncate, ${repeated} written again after a deletion`,
      `resident memory (flat: the last quarter at most ${RSS_TOLERANCE * 100} % and ${RSS_TOLERANCE_BYTES / 2 ** 20} MiB above the second):`,
      plot(this.#samples.map(({ rss }) => rss)),
    ].join('\n')
  }
}

async function main(): Promise<void> {
  const limits = readLimits()
  if (limits === undefined) return console.log(HELP)
  console.log(`seed: --seed ${limits.seed}`)
  const dir = mkdtempSync(join(limits.dir, 'exec-audit-soak-'))
  try {
    // Workers are announced one turn after they were made: the one of the loader of TypeScript is not to be counted.
    await setImmediate()
    const soak = new Soak(limits, dir)
    process.once('SIGINT', () => soak.stop())
    const problems = await soak.run()
    const isColored = process.stdout.isTTY === true && !process.env.NO_COLOR
    const verdict = (style: 'green' | 'red', text: string) =>
      console.log(isColored ? styleText(style, text) : text)
    if (process.stdout.isTTY) process.stdout.write('\r\x1b[2K')
    console.log(soak.summary())
    for (const problem of problems) verdict('red', `WRONG: ${problem}`)
    if (problems.length === 0) verdict('green', 'all is as promised')
    else process.exitCode = 1
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

function reportEarlyEnd(): void {
  console.error(`soak: ${EARLY_END}`)
  process.exitCode = 1
}

untilDone(main(), reportEarlyEnd).catch((error: unknown) => {
  // A mistake in the command line needs no stack.
  const isMistake = error instanceof RangeError || error instanceof TypeError
  console.error(isMistake ? error.message : error)
  process.exitCode = 1
})
