import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { openStream } from '../../src/ship/open-stream'
import { runOpenLoop } from '../../src/toolkit/load/open-loop'
import { OURS } from '../contenders/built-in'
import type { FileCheck } from '../report/report'
import type { Context } from './benchmark'
import type { RowBuilder } from './row-builder'
import { percentile } from './statistics'
import type { StreamConsumer } from './stream-consumers'
import { CallCycle, calls } from './workload'

/*
 * How long after an event is durable is its line in a stream? The writer records at a steady low rate in this process,
 * `ship` follows in another one, and a consumer in this one sees what the server has stored.
 */

const MAIN = join(__dirname, '../../dist/cli/main.js')
const PER_SECOND = 200
const EVENTS = 1_000
const QUICK_EVENTS = 20
/** They are not counted: code that has not run yet is slow. */
const WARM_UP_EVENTS = 200
const IN_FLIGHT_MAX = 1_024
const LIMIT_MS = 30_000

/** A stream that is followed. */
export interface Followed {
  readonly row: RowBuilder
  readonly url: string
  readonly stream: string
  readonly subject?: string
  consume(onMessage: () => void): Promise<StreamConsumer>
}

/** The row's name behind the engine's. */
export const FOLLOWED_NAME = `ship follows ${PER_SECOND}/s`

/** Adds to the row how long after its acknowledgement each line is seen in the stream. */
export async function followOnce(context: Context, followed: Followed): Promise<FileCheck> {
  const { row, url, stream, subject, consume } = followed
  const folder = join(context.dir, stream)
  mkdirSync(folder)
  const log = join(folder, 'exec.log')
  const create = { stream, create: true, ...(subject === undefined ? {} : { subject }) }
  await (await openStream(url, create)).close()
  const seenMs: number[] = []
  const seen = new Count()
  const consumer = await consume(() => {
    seenMs.push(performance.now())
    seen.set(seenMs.length)
  })
  const shipper = spawn(
    process.execPath,
    [MAIN, 'ship', '--log', log, '--to', url, '--stream', stream],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let notes = ''
  shipper.stderr.setEncoding('utf8').on('data', (text: string) => {
    notes += text
  })
  try {
    const ackedMs = await record(context, log, seen)
    await seen.reaches(ackedMs.length)
    const warmUp = ackedMs.length - eventsOf(context)
    const samples = ackedMs.map((ms, i) => ((seenMs[i] ?? Number.NaN) - ms) * 1_000).slice(warmUp)
    const ascending = samples.sort((a, b) => a - b)
    row.add({
      durableToStoredP50Us: percentile(ascending, 50),
      durableToStoredP99Us: percentile(ascending, 99),
    })
    return { name: row.name, lines: seenMs.length, acknowledged: ackedMs.length }
  } catch (thrown) {
    throw new Error(`${row.name}: the shipper says:\n${notes}`, { cause: thrown })
  } finally {
    const ended = once(shipper, 'exit')
    shipper.kill()
    await ended
    await consumer.stop()
    rmSync(folder, { recursive: true })
  }
}

function eventsOf({ isQuick }: Context): number {
  return isQuick ? QUICK_EVENTS : EVENTS
}

/** Records events at a steady rate. Returns when each was acknowledged, in the order of the lines. */
async function record(context: Context, log: string, seen: Count): Promise<readonly number[]> {
  const writer = OURS.open(log)
  const cycle = new CallCycle(calls)
  const ackedMs: number[] = []
  let sent = 0
  const send = async () => {
    const index = sent++
    await writer.append(cycle.next())
    ackedMs[index] = performance.now()
  }
  try {
    // From then on the shipper follows.
    await send()
    await seen.reaches(1)
    const events = (context.isQuick ? 0 : WARM_UP_EVENTS) + eventsOf(context)
    const durationMs = (1_000 * events) / PER_SECOND
    await runOpenLoop(PER_SECOND, { send, durationMs, maxInFlight: IN_FLIGHT_MAX })
    return ackedMs
  } finally {
    await writer.close()
  }
}

/** A count that somebody waits for. */
class Count {
  #value = 0
  #onChange: () => void = () => undefined

  set(value: number): void {
    this.#value = value
    this.#onChange()
  }

  /** Throws if it takes too long. */
  async reaches(wanted: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`${this.#value} of ${wanted} lines have come to the stream`))
      }, LIMIT_MS)
      this.#onChange = () => {
        if (this.#value < wanted) return
        clearTimeout(timer)
        resolve()
      }
      this.#onChange()
    })
  }
}
