/*
 * How fast do lines reach a stream?
 *
 * The engines of `x0x-exec-audit ship` append the workload's lines with 1,024 in flight, each on condition of the
 * one before it and with its hashes. A bare loop of the same client has as many in flight, and no condition and no
 * headers; `redis-benchmark` is the server's own, in C. `stored us` is one line alone, from the call to its
 * acknowledgement.
 *
 * `ship follows` is the command in a process of its own behind the writer's log: `durable to stored us` is from the
 * writer's acknowledgement of an event to the moment a consumer gets its line from the server.
 *
 * The servers are those of the machine, on its loopback and its disk: Redis syncs before each reply, JetStream 2.9
 * does not.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { Redis } from 'ioredis'
import { openStream } from '../../src/ship/open-stream'
import type { Message } from '../../src/ship/stream/message'
import { runInWindow } from '../../src/ship/stream/window'
import { type Benchmark, type Context, rotated } from '../harness/benchmark'
import { RowBuilder } from '../harness/row-builder'
import { FOLLOWED_NAME, type Followed, followOnce } from '../harness/ship-follower'
import { mean, percentile } from '../harness/statistics'
import { consumeNats, consumeRedis } from '../harness/stream-consumers'
import {
  isInstalled,
  redisBenchmark,
  type StreamServer,
  startNats,
  startRedis,
} from '../harness/stream-servers'
import { calls, lineOf } from '../harness/workload'
import type { FileCheck, Result } from '../report/report'

export const ship: Benchmark = {
  name: 'ship',
  question: 'How fast do lines reach a stream?',
  run,
}

const IN_FLIGHT = 1_024
const LINES = 50_000
const QUICK_LINES = 300
const ALONE = 200
const QUICK_ALONE = 4

/** One way to append lines to a stream that it makes. */
interface Way {
  readonly row: RowBuilder
  open(server: StreamServer, stream: string): Promise<Appender>
}

interface Appender {
  /** Resolves when all are acknowledged. */
  append(messages: readonly Message[]): Promise<void>
  /** How many the stream holds. */
  count(): Promise<number>
  close(): Promise<void>
}

const SERVERS = [
  {
    ...{ name: 'JetStream', program: 'nats-server', start: startNats },
    ...{ ways: [natsWay, bareNatsWay], followed: followedNats },
  },
  {
    ...{ name: 'Redis', program: 'redis-server', start: startRedis },
    ...{ ways: [redisWay, bareRedisWay], followed: followedRedis },
  },
] as const

async function run(context: Context): Promise<Result> {
  const rows: RowBuilder[] = []
  const files: FileCheck[] = []
  const notes: string[] = []
  for (const { name, program, start, ways, followed } of SERVERS) {
    if (!isInstalled(program)) {
      notes.push(`${program} is not installed, so ${name} is not measured: apt-get install it`)
      continue
    }
    const server = await start(join(context.dir, program))
    try {
      const opened = ways.map((way) => way())
      rows.push(...opened.map(({ row }) => row))
      files.push(...(await runWays(context, server, opened)))
      const row = new RowBuilder(`${name}, ${FOLLOWED_NAME}`, { contender: 'follow' })
      rows.push(row)
      files.push(...(await runFollowed(context, row, (stream) => followed(server, row, stream))))
      if (name === 'Redis') rows.push(await runRedisBenchmark(context, server))
    } finally {
      await server.stop()
    }
  }
  return { rows: rows.map((row) => row.build()), files, notes }
}

async function runWays(
  context: Context,
  server: StreamServer,
  ways: readonly Way[],
): Promise<FileCheck[]> {
  const files: FileCheck[] = []
  const lines = workloadLines(context.isQuick ? QUICK_LINES : LINES)
  const alone = context.isQuick ? QUICK_ALONE : ALONE
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    const rates = new Map<RowBuilder, number>()
    for (const { row, open } of rotated(ways, repeat)) {
      context.progress(`repeat ${repeat + 1} of ${context.repeats}: ${row.name}`)
      const appender = await open(server, `stream-${files.length}`)
      try {
        const startMs = performance.now()
        await appender.append(lines.slice(alone))
        rates.set(row, (1_000 * (lines.length - alone)) / (performance.now() - startMs))
        row.add(await storedUs(appender, lines.slice(0, alone)))
        const count = await appender.count()
        files.push({ name: row.name, lines: count, acknowledged: lines.length })
      } finally {
        await appender.close()
      }
    }
    const bare = rates.get(ways[1]?.row ?? new RowBuilder('')) ?? 0
    for (const [row, perSecond] of rates) {
      row.add({ linesPerSecond: perSecond, percentOfBare: (100 * perSecond) / bare })
    }
  }
  return files
}

async function runFollowed(
  context: Context,
  row: RowBuilder,
  followed: (stream: string) => Followed,
): Promise<FileCheck[]> {
  const files: FileCheck[] = []
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    context.progress(`repeat ${repeat + 1} of ${context.repeats}: ${row.name}`)
    files.push(await followOnce(context, followed(`followed-${repeat}`)))
  }
  return files
}

/** How long one line takes if it is alone. */
async function storedUs(appender: Appender, messages: readonly Message[]) {
  const samples: number[] = []
  for (const message of messages) {
    const startMs = performance.now()
    await appender.append([message])
    samples.push((performance.now() - startMs) * 1_000)
  }
  const ascending = samples.sort((a, b) => a - b)
  return { storedP50Us: percentile(ascending, 50), storedP99Us: percentile(ascending, 99) }
}

async function runRedisBenchmark(context: Context, server: StreamServer): Promise<RowBuilder> {
  const row = new RowBuilder('Redis, redis-benchmark', { contender: 'redis-benchmark' })
  const count = context.isQuick ? QUICK_LINES : LINES
  const line = 'x'.repeat(Math.round(mean(calls.map((call) => lineOf(call).length - 1))))
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    context.progress(`repeat ${repeat + 1} of ${context.repeats}: ${row.name}`)
    row.add({ linesPerSecond: await redisBenchmark(server, count, IN_FLIGHT, line) })
  }
  return row
}

/** The workload's lines repeatedly, as a shipper sends them. */
function workloadLines(count: number): Message[] {
  const bodies = calls.map((call) => Buffer.from(lineOf(call).trimEnd()))
  const messages: Message[] = []
  for (let index = 0; index < count; index++) {
    const body = bodies[index % bodies.length] ?? Buffer.alloc(0)
    const sha256 = createHash('sha256').update(body).digest()
    const prev = messages[index - 1]?.sha256
    messages.push({ kind: 'line', index, origin: '-', sha256, prev, body })
  }
  return messages
}

/** Appends by the interface that the shipper has. */
function shippedWay(name: string, urlOf: (port: number) => string, hasSubject: boolean): Way {
  return {
    row: new RowBuilder(`${name}, as ship appends`, { contender: 'ship' }),
    async open({ port }, name) {
      const stream = await openStream(urlOf(port), {
        ...{ stream: name, create: true, inFlight: IN_FLIGHT },
        ...(hasSubject ? { subject: name } : {}),
      })
      let { position } = await stream.tail()
      let next = 0
      return {
        async append(messages) {
          // The loop alone comes after the rest, and the stream wants its own order.
          const placed = messages.map((message, offset) => ({ ...message, index: next + offset }))
          position = await stream.append(placed, position)
          next += messages.length
        },
        count: async () => ((await stream.tail()).message?.index ?? -1) + 1,
        close: () => stream.close(),
      }
    },
  }
}

function natsWay(): Way {
  return shippedWay('JetStream', (port) => `nats://127.0.0.1:${port}`, true)
}

function redisWay(): Way {
  return shippedWay('Redis', (port) => `redis://127.0.0.1:${port}`, false)
}

function bareNatsWay(): Way {
  return {
    row: new RowBuilder('JetStream, a bare loop', { contender: 'bare' }),
    async open({ port }, name) {
      const connection = await connect({ servers: `127.0.0.1:${port}` })
      const manager = await jetstreamManager(connection)
      await manager.streams.add({ name, subjects: [name], storage: StorageType.File })
      const client = jetstream(connection)
      return {
        append: (messages) =>
          inWindow(messages, async ({ body }) => void (await client.publish(name, body))),
        count: async () => (await manager.streams.info(name)).state.messages,
        close: () => connection.close(),
      }
    },
  }
}

function bareRedisWay(): Way {
  return {
    row: new RowBuilder('Redis, a bare loop', { contender: 'bare' }),
    async open({ port }, name) {
      const redis = new Redis({ port, host: '127.0.0.1' })
      return {
        append: (messages) =>
          inWindow(messages, async ({ body }) => void (await redis.xadd(name, '*', 'line', body))),
        count: () => redis.xlen(name),
        close: async () => redis.disconnect(),
      }
    },
  }
}

function followedNats({ port }: StreamServer, row: RowBuilder, stream: string): Followed {
  const url = `nats://127.0.0.1:${port}`
  const consume = (onMessage: () => void) => consumeNats(port, stream, onMessage)
  return { row, url, stream, subject: stream, consume }
}

function followedRedis({ port }: StreamServer, row: RowBuilder, stream: string): Followed {
  const url = `redis://127.0.0.1:${port}`
  return { row, url, stream, consume: (onMessage) => consumeRedis(port, stream, onMessage) }
}

async function inWindow(
  messages: readonly Message[],
  append: (message: Message) => Promise<void>,
): Promise<void> {
  const failed = await runInWindow(IN_FLIGHT, messages, append)
  if (failed !== undefined) throw failed.failure
}
