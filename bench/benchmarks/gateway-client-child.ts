/*
 * The client of gateway.ts, in a process of its own: it sends the load, and asks the gateway for its
 * figures.
 */
import { Agent, request } from 'node:http'
import { type LoadResult, runClosedLoop, runOpenLoop } from '../../src/toolkit/load/open-loop'
import { arePeersInstalled, requirePeer } from '../contenders/peers'
import { percentile } from '../harness/statistics'
import type { ClientAnswer, ClientTask, LoadFigures } from './gateway'
import type { ExecBody, ServerFigures } from './gateway-server-child'

type Autocannon = (options: object) => Instance

interface Instance extends PromiseLike<CannonResult> {
  on(event: 'response', listener: (...args: [object, number, number, number]) => void): void
}

interface CannonResult {
  readonly errors: number
  readonly non2xx: number
}

const BODY: ExecBody = {
  agentId: 'a1'.repeat(32),
  machineId: 'b2'.repeat(32),
  argv: ['/bin/true'],
}
const TEXT = JSON.stringify(BODY)
const HEADERS = { 'content-type': 'application/json' }
/** More than are ever under way at a rate that the gateway can hold. */
const MAX_IN_FLIGHT = 4_096

class Client {
  readonly #task: ClientTask
  readonly #agent: Agent

  constructor(task: ClientTask) {
    this.#task = task
    this.#agent = new Agent({ keepAlive: true, maxSockets: task.connections })
  }

  async run(): Promise<ClientAnswer> {
    const { rate, warmUpMs, saturatedMs, rateMs } = this.#task
    await this.#saturate(warmUpMs)
    const saturated = await this.#measure(() => this.#saturate(saturatedMs))
    if (rate === undefined) return { saturated }
    await this.#send(rate, warmUpMs)
    return { saturated, half: await this.#measure(() => this.#send(rate, rateMs)) }
  }

  close(): void {
    this.#agent.destroy()
  }

  /** The figures of a load, whose latencies are ascending milliseconds. */
  async #measure(load: () => Promise<Float64Array>): Promise<LoadFigures> {
    await this.#ask('GET', '/figures')
    const latenciesMs = await load()
    const figures: ServerFigures = JSON.parse(await this.#ask('GET', '/figures'))
    const { served, seconds, cpuSeconds, syncs, loopP50Us, loopP99Us } = figures
    return {
      requestsPerSecond: served / seconds,
      p50Us: percentile(latenciesMs, 50) * 1_000,
      p99Us: percentile(latenciesMs, 99) * 1_000,
      loopP50Us,
      loopP99Us,
      cpuSecondsPerThousand: (1_000 * cpuSeconds) / served,
      syncsEach: syncs / served,
    }
  }

  async #saturate(durationMs: number): Promise<Float64Array> {
    if (arePeersInstalled) return await this.#fire(durationMs)
    const { connections } = this.#task
    const load = { send: () => this.#exec(), durationMs, maxInFlight: connections }
    return (await runClosedLoop(load)).latenciesMs
  }

  /** Has autocannon keep every connection busy; for longer, until a gateway has answered at all. */
  async #fire(durationMs: number): Promise<Float64Array> {
    for (let ms = durationMs; ; ms *= 2) {
      const latenciesMs = await this.#fireFor(ms)
      // Requests under way at the end are given up and do not count.
      if (latenciesMs.length > 0) return Float64Array.from(latenciesMs).sort()
    }
  }

  async #fireFor(durationMs: number): Promise<readonly number[]> {
    const autocannon: Autocannon = requirePeer('autocannon')
    const { port, connections } = this.#task
    const instance = autocannon({
      url: `http://127.0.0.1:${port}/exec`,
      method: 'POST',
      body: TEXT,
      headers: HEADERS,
      connections,
      duration: durationMs / 1_000,
    })
    const latenciesMs: number[] = []
    instance.on('response', (_client, _status, _bytes, ms) => latenciesMs.push(ms))
    const { errors, non2xx } = await instance
    if (errors + non2xx > 0) throw new Error(`${errors} errors, ${non2xx} refusals`)
    return latenciesMs
  }

  /** Sends requests at a constant rate, each when it is due. */
  async #send(rate: number, durationMs: number): Promise<Float64Array> {
    const load = { send: () => this.#exec(), durationMs, maxInFlight: MAX_IN_FLIGHT }
    const { latenciesMs }: LoadResult = await runOpenLoop(rate, load)
    return latenciesMs
  }

  #exec(): Promise<string> {
    return this.#ask('POST', '/exec', TEXT)
  }

  #ask(method: string, path: string, body = ''): Promise<string> {
    const { port } = this.#task
    const options = { host: '127.0.0.1', port, path, method, agent: this.#agent, headers: HEADERS }
    return new Promise((resolve, reject) => {
      const sent = request(options, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text)
          else reject(new Error(`${path}: ${response.statusCode}`))
        })
      })
      sent.on('error', reject)
      sent.end(body)
    })
  }
}

async function main(): Promise<void> {
  const task: ClientTask = JSON.parse(process.argv[2] ?? '')
  const client = new Client(task)
  console.log(JSON.stringify(await client.run()))
  client.close()
}

main().catch((thrown: unknown) => {
  console.error(thrown)
  process.exit(1)
})
