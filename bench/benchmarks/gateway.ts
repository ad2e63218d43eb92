/*
 * What does auditing cost an exec gateway?
 *
 * A second process asks a real HTTP gateway in a process of its own to run commands. For each command the
 * gateway records `request`, which must be durable before the command may run, `started`, and `exit`, which
 * must be durable before the answer goes out. The commands are `/bin/true`, really spawned, or nothing at all
 * (`no spawn`), which leaves only the cost of HTTP and the audit. `audit off` is the gateway without a trail;
 * `pino, async` says of no event whether it is on disk, and is there for comparison.
 *
 * - `saturated`: 64 connections, each asking again once it is answered. The latencies are those of a
 *   queue, and say little; look at requests per second and CPU instead. autocannon asks, if it is
 *   installed.
 * - `half of it`: a constant rate, half of what audit off can take (measured once, before the repeats).
 *   Requests are sent when they are due, whether those before have been answered or not, and a latency
 *   counts from the moment at which its request was due: a stall is charged to all that it held up.
 *   (autocannon cannot do that: with a rate it sends each second's share at the second's beginning.)
 *
 * `loop` is the gateway's event-loop delay, as monitorEventLoopDelay has it at a resolution of 1 ms: a
 * thread with nothing to do shows a little more than that. `cpu seconds` are those of all threads of the
 * gateway, without its children. Each file is read back: the three events of each served request, once,
 * and nothing else.
 *
 * The two figures of the targets are made of the same repeat's `audit off`: `p99 percent of allowed` is of
 * 1.05 times its p99, and two raw syncs (their p50), since an answer must wait for two; `loop p99 percent
 * of off` is of its event-loop delay.
 */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'
import { AUDIT_OFF, GATEWAY_AUDITS, type GatewayAudit } from '../contenders/gateway-audits'
import { arePeersInstalled, PEERS_NOTE } from '../contenders/peers'
import { type Benchmark, type Context, rotated } from '../harness/benchmark'
import { sumOfFiles } from '../harness/read-back'
import { RowBuilder } from '../harness/row-builder'
import { rawSyncP50Us } from '../report/machine'
import type { FileCheck, Result } from '../report/report'

export const gateway: Benchmark = {
  name: 'gateway',
  question: 'What does auditing cost an exec gateway?',
  run,
}

export type Spawns = 'real' | 'none'
type Load = 'saturated' | 'half'

/** The gateway's task. */
export interface ServerTask {
  readonly audit: string
  readonly spawns: Spawns
  readonly path: string
}

/** The client's task. */
export interface ClientTask {
  readonly port: number
  readonly connections: number
  readonly warmUpMs: number
  readonly saturatedMs: number
  readonly rateMs: number
  /** Requests per second of the constant rate; without it, there is none. */
  readonly rate: number | undefined
}

/** The figures of one load. */
export interface LoadFigures {
  readonly requestsPerSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly loopP50Us: number
  readonly loopP99Us: number
  readonly cpuSecondsPerThousand: number
  readonly syncsEach: number
}

export type ClientAnswer = Partial<Record<Load, LoadFigures>>

const CONNECTIONS = 64
const NAMES: Record<Load, string> = { saturated: 'saturated', half: 'half of it' }
const LOADS: readonly Load[] = ['saturated', 'half']
const SPAWNS: readonly Spawns[] = ['real', 'none']
const QUICK_SPAWNS: readonly Spawns[] = ['real']
/** A gateway that spawns answers some hundred requests per second: a p99 wants seconds. */
const SATURATED_TIMES_MS = 4
const RATE_TIMES_MS = 8
/** Less, and a busy machine might not have answered a single request. */
const LEAST_MS = 500
const RATE_SHARE = 0.5
/** The p99 that is allowed, in those of audit off, and the syncs that an answer waits for. */
const ALLOWED_SHARE = 1.05
const SYNCS_AWAITED = 2

class Trial {
  readonly files: FileCheck[] = []
  readonly rows: Record<Load, RowBuilder>

  constructor(
    readonly audit: GatewayAudit,
    readonly spawns: Spawns,
  ) {
    this.rows = { saturated: this.#row('saturated'), half: this.#row('half') }
  }

  get name(): string {
    return `${this.spawns === 'real' ? 'real spawns' : 'no spawn'}, ${this.audit.name}`
  }

  #row(load: Load): RowBuilder {
    const labels = { contender: this.audit.name, spawns: this.spawns, load }
    return new RowBuilder(`${this.name}, ${NAMES[load]}`, labels)
  }
}

async function run(context: Context): Promise<Result> {
  const kinds = context.isQuick ? QUICK_SPAWNS : SPAWNS
  const trials = kinds.map((spawns) => GATEWAY_AUDITS.map((audit) => new Trial(audit, spawns)))
  for (const group of trials) await runGroup(group, context)
  const all = trials.flat()
  return {
    rows: LOADS.flatMap((load) => all.map((trial) => trial.rows[load].build())),
    files: all
      .filter(({ audit }) => audit !== AUDIT_OFF)
      .map(({ name, files }) => sumOfFiles(name, files)),
    notes: arePeersInstalled ? [] : [PEERS_NOTE],
  }
}

/** Runs all contenders with the same kind of spawns, at the same rate. */
async function runGroup(trials: readonly Trial[], context: Context): Promise<void> {
  const off = trials.find(({ audit }) => audit === AUDIT_OFF)
  if (off === undefined) throw new RangeError('nothing to compare with')
  context.progress(`how much: ${off.name}`)
  const { saturated } = await runOne(off, context, undefined)
  const rate = Math.ceil((saturated?.requestsPerSecond ?? Number.NaN) * RATE_SHARE)
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    const answers = new Map<Trial, ClientAnswer>()
    for (const trial of rotated(trials, repeat)) {
      context.progress(`repeat ${repeat + 1} of ${context.repeats}: ${trial.name}`)
      answers.set(trial, await runOne(trial, context, rate))
    }
    const syncUs = rawSyncP50Us(join(context.dir, 'raw'))
    for (const [trial, answer] of answers) addFigures(trial, answer, answers.get(off), syncUs)
  }
}

function addFigures(
  { audit, rows }: Trial,
  answer: ClientAnswer,
  off: ClientAnswer | undefined,
  syncUs: number,
): void {
  for (const load of LOADS) {
    const [figures, without] = [answer[load], off?.[load]]
    if (figures === undefined || without === undefined) throw new Error(`no answer for ${load}`)
    const { syncsEach, ...others } = figures
    rows[load].add(others)
    if (syncsEach > 0) rows[load].add({ syncsEach })
    if (audit === AUDIT_OFF || load === 'saturated') continue
    const allowedUs = without.p99Us * ALLOWED_SHARE + SYNCS_AWAITED * syncUs
    rows[load].add({
      p99PercentOfAllowed: (100 * figures.p99Us) / allowedUs,
      loopP99PercentOfOff: (100 * figures.loopP99Us) / without.loopP99Us,
    })
  }
}

/** Runs a gateway and its client. */
async function runOne(
  { audit, spawns, files }: Trial,
  { dir, ms }: Context,
  rate: number | undefined,
): Promise<ClientAnswer> {
  const folder = join(dir, 'gateway')
  mkdirSync(folder)
  const server = await Server.start({ audit: audit.name, spawns, path: join(folder, 'exec.log') })
  try {
    const answer = await askClient({
      port: server.port,
      connections: CONNECTIONS,
      warmUpMs: ms,
      saturatedMs: Math.max(LEAST_MS, ms * SATURATED_TIMES_MS),
      rateMs: Math.max(LEAST_MS, ms * RATE_TIMES_MS),
      rate,
    })
    files.push(await server.close())
    return answer
  } finally {
    server.kill()
    rmSync(folder, { recursive: true })
  }
}

async function askClient(task: ClientTask): Promise<ClientAnswer> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...childArgs('gateway-client-child.ts', task),
  ])
  return JSON.parse(stdout)
}

function childArgs(file: string, task: object): string[] {
  return ['-r', 'esbuild-register', join(__dirname, file), JSON.stringify(task)]
}

/** A gateway's process: it prints its port, and once its input ends, the lines in its file. */
class Server {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: Interface

  private constructor(
    child: ChildProcessByStdio<Writable, Readable, null>,
    lines: Interface,
    readonly port: number,
  ) {
    this.#process = child
    this.#lines = lines
  }

  static async start(task: ServerTask): Promise<Server> {
    const args = childArgs('gateway-server-child.ts', task)
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = createInterface({ input: child.stdout })
    return new Server(child, lines, Number(await nextLine(lines)))
  }

  async close(): Promise<FileCheck> {
    const line = nextLine(this.#lines)
    this.#process.stdin.end()
    return JSON.parse(await line)
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }
}

async function nextLine(lines: Interface): Promise<string> {
  const ended = once(lines, 'close').then(() => {
    throw new Error('the gateway has ended')
  })
  // Once a line has come, the end means nothing.
  ended.catch(() => undefined)
  const [line]: unknown[] = await Promise.race([once(lines, 'line'), ended])
  return String(line)
}
