import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DiscardPolicy, type JetStreamManager, StorageType } from '@nats-io/jetstream'
import { patient, pause } from '../waiting'
import { manageNats } from './nats-engine'
import { freePort, TestServer } from './test-server'

const NODES = 3
const LIMIT_MS = 60_000
const ATTEMPT_EACH_MS = 50

/** Three servers of JetStream, each of which stores what the others do. */
export class NatsCluster {
  private constructor(readonly nodes: readonly TestServer[]) {}

  static async start(): Promise<NatsCluster> {
    const routes: number[] = []
    while (routes.length < NODES) routes.push(await freePort())
    const nodes = routes.map((route, i) => startNode(`node${i}`, route, routes))
    return new NatsCluster(await Promise.all(nodes))
  }

  /** All servers, for the client. */
  get url(): string {
    return this.nodes.map(({ address }) => `nats://${address}`).join(',')
  }

  /** Makes a stream that all three store, as soon as they have elected who leads. */
  async make(stream: string): Promise<void> {
    await this.#until('no stream is made', async ({ streams }) => {
      await streams.add({
        ...{ name: stream, subjects: [stream], num_replicas: NODES },
        ...{ storage: StorageType.File, discard: DiscardPolicy.New },
      })
      return true
    })
  }

  /** Waits until each server has all that the stream's leader has. */
  async untilCurrent(stream: string): Promise<void> {
    await this.#until('a server does not catch up', async ({ streams }) => {
      const { cluster } = await streams.info(stream)
      const replicas = cluster?.replicas ?? []
      return replicas.length === NODES - 1 && replicas.every(({ current }) => current)
    })
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()))
  }

  async #until(
    otherwise: string,
    isTrue: (manager: JetStreamManager) => Promise<boolean>,
  ): Promise<void> {
    const deadline = performance.now() + patient(LIMIT_MS)
    let failure: unknown
    for (const [first] = this.nodes; first !== undefined; await pause(ATTEMPT_EACH_MS)) {
      try {
        if (await manageNats(first, isTrue)) return
      } catch (thrown) {
        // While they elect, nobody answers.
        failure = thrown
      }
      if (performance.now() > deadline) throw new Error(otherwise, { cause: failure })
    }
  }
}

function startNode(name: string, route: number, routes: readonly number[]): Promise<TestServer> {
  const urls = routes.map((port) => `"nats-route://127.0.0.1:${port}"`)
  return TestServer.start({
    program: 'nats-server',
    args(folder, port) {
      const path = join(folder, 'nats.conf')
      const settings = [
        `server_name: ${name}`,
        `listen: "127.0.0.1:${port}"`,
        `jetstream { store_dir: ${JSON.stringify(join(folder, 'store'))} }`,
        `cluster { name: test, listen: "127.0.0.1:${route}", routes: [${urls.join(', ')}] }`,
      ]
      writeFileSync(path, settings.join('\n'))
      return ['-c', path]
    },
    ready: /Server is ready/,
  })
}
