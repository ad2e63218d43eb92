import { EventEmitter } from 'node:events'
import { constants } from 'node:os'
import { Readable, type Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { types } from 'node:util'
import { U32_MAX } from '../base/integers'
import { integer, refuse, type Values, valuesOf } from '../base/option-checks'
import { setImmediate } from '../base/timers'
import type { ProcessGroup } from './process-group'

/** The command that a {@link Spawner} is asked for. */
export interface SpawnerInput {
  /** The program and its arguments. */
  readonly argv: readonly string[]
  /** The whole environment. */
  readonly env: NodeJS.ProcessEnv
  /** Its working directory; undefined for that of this process. */
  readonly cwd: string | undefined
  /** Its standard input; undefined for none. */
  readonly stdin: Buffer | undefined
}

/** A process that there is not: what it writes, and how it ends. */
export interface FakeProcess {
  /** Recorded in `started`, u32; default 4242. No signal is ever sent to it. */
  pid?: number | undefined
  /** Standard output; default none. */
  stdout?: string | Uint8Array | Readable | undefined
  /** Standard error; default none. */
  stderr?: string | Uint8Array | Readable | undefined
  /** The exit code, 0 to 255; default 0. */
  code?: number | undefined
  /** The signal that ends it, in place of a code. */
  signal?: NodeJS.Signals | undefined
  /** It runs until this settles, or until it is sent a signal, which ends it. Default: it ends at once. */
  until?: Promise<unknown> | undefined
}

/** Stands in for the spawning of commands in unit tests. If it throws or rejects, the spawn has failed. */
export type Spawner = (command: SpawnerInput) => FakeProcess | Promise<FakeProcess>

/** A command's process, as a run looks at it. */
export interface CommandProcess {
  readonly stdin: Writable | null
  readonly stdout: Readable | null
  readonly stderr: Readable | null
  readonly exitCode: number | null
  readonly signalCode: NodeJS.Signals | null
  once(
    event: 'exit',
    listener: (code: number | null, signal: NodeJS.Signals | null) => void,
  ): unknown
  once(event: 'close', listener: () => void): unknown
}

/** A command's process group, as a run looks at it. */
export type CommandGroup = Pick<
  ProcessGroup,
  'leader' | 'kill' | 'killLeader' | 'probe' | 'hasRunning' | 'forget'
>

const FAKE_NAMES = [
  'pid',
  'stdout',
  'stderr',
  'code',
  'signal',
  'until',
] as const satisfies readonly (keyof FakeProcess)[]
const DEFAULT_PID = 4242
const CODE_MAX = 255
const WHERE = 'spawner()'

/** Plays a {@link FakeProcess}: both the process and its group. */
export class PlayedProcess extends EventEmitter implements CommandProcess, CommandGroup {
  readonly stdin = null
  readonly stdout: Readable
  readonly stderr: Readable
  readonly leader: number
  exitCode: number | null = null
  signalCode: NodeJS.Signals | null = null

  /** @throws TypeError or RangeError for a mistake in it, naming the property */
  constructor(fake: FakeProcess) {
    super()
    const values = valuesOf(WHERE, fake ?? null, FAKE_NAMES)
    this.leader = integer(`${WHERE}.pid`, values, DEFAULT_PID, 0, U32_MAX)
    this.stdout = outputOf('stdout', values)
    this.stderr = outputOf('stderr', values)
    const code = integer(`${WHERE}.code`, values, 0, 0, CODE_MAX)
    const { signal, until } = fake
    if (signal !== undefined && !Object.hasOwn(constants.signals, signal)) {
      refuse(`${WHERE}.signal`, signal, 'the name of a signal, such as SIGTERM')
    }
    const end = () =>
      setImmediate(() => this.#end(signal === undefined ? code : null, signal ?? null))
    void Promise.resolve(until).then(end, end)
  }

  kill(signal: NodeJS.Signals): boolean {
    this.#end(null, signal)
    return true
  }

  killLeader(signal: NodeJS.Signals): boolean {
    return this.kill(signal)
  }

  probe(): boolean {
    return this.#isRunning
  }

  hasRunning(): boolean {
    return this.#isRunning
  }

  forget(): void {}

  get #isRunning(): boolean {
    return this.exitCode === null && this.signalCode === null
  }

  #end(code: number | null, signal: NodeJS.Signals | null): void {
    if (!this.#isRunning) return
    this.exitCode = code
    this.signalCode = signal
    this.emit('exit', code, signal)
    const outputs = [this.stdout, this.stderr].map((output) => finished(output))
    void Promise.allSettled(outputs).then(() => this.emit('close'))
  }
}

function outputOf(name: 'stdout' | 'stderr', values: Values): Readable {
  const value = values.get(name) ?? ''
  if (value instanceof Readable) return value
  if (typeof value !== 'string' && !types.isUint8Array(value)) {
    return refuse(`${WHERE}.${name}`, value, 'a string, a Uint8Array or a Readable')
  }
  return Readable.from(value.length === 0 ? [] : [Buffer.from(value)])
}
