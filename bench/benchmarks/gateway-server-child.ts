/*
 * The gateway of gateway.ts: POST /exec runs a command, GET /figures reports the time since it was last asked.
 * Its port is its first line of output; when its input ends, it ends as well, reads the log back, and
 * prints the result.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import type { ExitEvent, RequestEvent } from '../../src'
import { AUDIT_OFF, GATEWAY_AUDITS, type Trail } from '../contenders/gateway-audits'
import { linesOf } from '../harness/read-back'
import type { FileCheck } from '../report/report'
import type { ServerTask, Spawns } from './gateway'

/** The answer of GET /figures, about the time since it was last asked. */
export interface ServerFigures {
  readonly served: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly syncs: number
  readonly loopP50Us: number
  readonly loopP99Us: number
}

/** The body of POST /exec. */
export interface ExecBody {
  readonly agentId: string
  readonly machineId: string
  readonly argv: readonly string[]
}

const EVENTS = ['request', 'started', 'exit']
const LOOP_RESOLUTION_MS = 1
const STUB_PID = 4_242

class Gateway {
  readonly requestIds: string[] = []
  readonly #busy = new Set<Promise<void>>()

  constructor(
    readonly trail: Trail,
    readonly spawns: Spawns,
  ) {}

  /** Answers a request. */
  handle(message: IncomingMessage, response: ServerResponse): void {
    const handling = this.#exec(message, response).finally(() => this.#busy.delete(handling))
    this.#busy.add(handling)
  }

  /** Resolves when every request is answered. */
  async settled(): Promise<void> {
    await Promise.all(this.#busy)
  }

  async #exec(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await textOf(message)
    if (text === undefined) return
    const { agentId, machineId, argv }: ExecBody = JSON.parse(text)
    const requestId = randomBytes(16)
    const event = { requestId, agentId, machineId, argv, matchedAcl: 'agents/bench', ...LIMITS }
    await this.trail.record({ method: 'request', event })
    const ended = this.spawns === 'real' ? this.#spawn(event) : this.#pretend(requestId)
    const exit: ExitEvent = { requestId, ...(await ended) }
    await this.trail.record({ method: 'exit', event: exit })
    this.requestIds.push(requestId.toString('hex'))
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ code: exit.code }))
  }

  async #spawn({ requestId, argv }: RequestEvent): Promise<Omit<ExitEvent, 'requestId'>> {
    const [file = '', ...args] = argv
    const startedAt = performance.now()
    const child = spawn(file, args, { stdio: 'ignore' })
    const exited = once(child, 'exit')
    await once(child, 'spawn')
    const started = this.#started(requestId, child.pid ?? 0)
    const [code]: unknown[] = await exited
    await started
    const durationMs = Math.round(performance.now() - startedAt)
    return { ...NOTHING_SAID, code: typeof code === 'number' ? code : null, durationMs }
  }

  async #pretend(requestId: RequestEvent['requestId']): Promise<Omit<ExitEvent, 'requestId'>> {
    const started = this.#started(requestId, STUB_PID)
    await setImmediate()
    await started
    return { ...NOTHING_SAID, code: 0, durationMs: 0 }
  }

  #started(requestId: RequestEvent['requestId'], pid: number): Promise<void> {
    return this.trail.record({ method: 'started', event: { requestId, pid } })
  }
}

const LIMITS = { stdinBytes: 0, timeoutMs: 30_000 } as const
const NOTHING_SAID = { stdoutBytes: 0, stderrBytes: 0, truncated: false } as const

/** A request's body; undefined if the client hung up in the middle, as it does at its end. */
async function textOf(message: IncomingMessage): Promise<string | undefined> {
  let text = ''
  try {
    for await (const chunk of message.setEncoding('utf8')) text += chunk
    return text
  } catch {
    return undefined
  }
}

/** The figures since they were last asked for. */
function figuresOf({ requestIds, trail }: Gateway): () => ServerFigures {
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  loop.enable()
  let before = { served: 0, ms: performance.now(), cpu: process.cpuUsage(), syncs: 0 }
  return () => {
    const now = {
      served: requestIds.length,
      ms: performance.now(),
      cpu: process.cpuUsage(),
      syncs: trail.syncs(),
    }
    const [user, system] = [now.cpu.user - before.cpu.user, now.cpu.system - before.cpu.system]
    const figures = {
      served: now.served - before.served,
      seconds: (now.ms - before.ms) / 1_000,
      cpuSeconds: (user + system) / 1e6,
      syncs: now.syncs - before.syncs,
      loopP50Us: loop.percentile(50) / 1_000,
      loopP99Us: loop.percentile(99) / 1_000,
    }
    before = now
    loop.reset()
    return figures
  }
}

/** Throws unless the log holds the three events of each request, and nothing else. */
function checkLog(name: string, path: string, requestIds: readonly string[]): FileCheck {
  const found = new Map<string, string[]>()
  let lines = 0
  for (const line of linesOf(path)) {
    const { event, request_id }: Record<string, string> = JSON.parse(line)
    found.set(`${request_id}`, [...(found.get(`${request_id}`) ?? []), `${event}`])
    lines++
  }
  const wrong = requestIds.filter((id) => `${found.get(id)}` !== `${EVENTS}`)
  if (wrong.length > 0 || lines !== requestIds.length * EVENTS.length) {
    const example = `${wrong[0]}: ${found.get(wrong[0] ?? '')}`
    throw new Error(
      `${name}: ${requestIds.length} were served, the log has ${lines} lines, wrong are ${wrong.length}, such as ${example}`,
    )
  }
  return { name, acknowledged: lines, lines }
}

async function main(): Promise<void> {
  const task: ServerTask = JSON.parse(process.argv[2] ?? '')
  const audit = GATEWAY_AUDITS.find(({ name }) => name === task.audit)
  if (audit === undefined) throw new RangeError(`no audit is called ${task.audit}`)
  const gateway = new Gateway(await audit.open(task.path), task.spawns)
  const figures = figuresOf(gateway)
  // Kept open: the client may be about to use a connection whose time is over.
  const server = createServer({ keepAliveTimeout: 0 }, (message, response) => {
    if (message.url === '/exec') gateway.handle(message, response)
    else response.end(JSON.stringify(figures()))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  console.log(typeof address === 'object' ? address?.port : address)

  await once(process.stdin.resume(), 'end')
  await gateway.settled()
  server.close()
  server.closeAllConnections()
  await gateway.trail.close()
  const none = { name: audit.name, acknowledged: 0, lines: 0 }
  const isOff = audit.name === AUDIT_OFF.name
  console.log(JSON.stringify(isOff ? none : checkLog(audit.name, task.path, gateway.requestIds)))
}

main().catch((thrown: unknown) => {
  console.error(thrown)
  process.exit(1)
})
