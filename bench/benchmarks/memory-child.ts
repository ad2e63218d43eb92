/*
 * The process whose memory memory.ts measures. Usage: FILE EVENTS; with `-` for FILE there is no writer.
 */
import { rmSync } from 'node:fs'
import { OURS } from '../contenders/built-in'
import { checkLines, linesOf } from '../harness/read-back'
import { type AuditCall, CallCycle, callsOfBytes } from '../harness/workload'
import type { MemoryAnswer } from './memory'

const IN_FLIGHT = 1_024
const EVENT_BYTES = 150
const FIFTHS = 5
/** Events between two looks at the resident set. */
const LOOK_EVERY = 4_096
const NO_WRITER = '-'

/** Records an event, and promises its outcome. */
interface Recorder {
  append(call: AuditCall): unknown
  close(): unknown
}

/** Makes the promises, and settles those of one turn of the event loop together. */
class PromisesAlone implements Recorder {
  #waiting: ((outcome: string) => void)[] = []

  append(): Promise<unknown> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) setImmediate(() => this.#settle())
    })
  }

  #settle(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve('durable')
  }

  close(): void {}
}

async function main(): Promise<void> {
  const [, , path = '', events = ''] = process.argv
  const calls = callsOfBytes(EVENT_BYTES)
  const isAlone = path === NO_WRITER
  const idleBytes = process.memoryUsage.rss()
  const recorder = isAlone ? new PromisesAlone() : OURS.open(path)
  const peakBytes = await record(recorder, new CallCycle(calls), Number(events))
  const answer: MemoryAnswer = { idleBytes, peakBytes }
  const expected = { acknowledged: Number(events), calls, isOrdered: true }
  const checked = isAlone ? {} : { file: checkLines('memory', linesOf(path), expected) }
  if (!isAlone) rmSync(path)
  console.log(JSON.stringify({ ...answer, ...checked }))
}

/** Records the events; returns the peak of the resident set in each fifth of them. */
async function record(recorder: Recorder, cycle: CallCycle, events: number): Promise<number[]> {
  const peaks: number[] = new Array(FIFTHS).fill(0)
  let begun = 0
  const lane = async () => {
    while (begun < events) {
      const index = begun++
      if (index % LOOK_EVERY === 0) {
        const fifth = Math.floor((index * FIFTHS) / events)
        peaks[fifth] = Math.max(peaks[fifth] ?? 0, process.memoryUsage.rss())
      }
      const outcome = await recorder.append(cycle.next())
      if (outcome !== 'durable') throw new Error(`an event's outcome was ${outcome}`)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  await recorder.close()
  return peaks
}

main().catch((thrown: unknown) => {
  console.error(thrown)
  process.exitCode = 1
})
