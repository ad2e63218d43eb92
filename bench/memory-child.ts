/*
 * The process whose memory memory.ts looks at. Usage: FILE EVENTS.
 */
import { rmSync } from 'node:fs'
import { OURS } from './contenders'
import type { MemoryAnswer } from './memory'
import { checkLines, linesOf } from './read-back'
import { CallCycle, callsOfBytes } from './workload'

const IN_FLIGHT = 1_024
const EVENT_BYTES = 150
const FIFTHS = 5
/** Events between two looks at the resident set. */
const LOOK_EVERY = 4_096

async function main(): Promise<void> {
  const [, , path = '', events = ''] = process.argv
  const calls = callsOfBytes(EVENT_BYTES)
  const idleBytes = process.memoryUsage.rss()
  const peakBytes = await record(path, new CallCycle(calls), Number(events))
  const expected = { acknowledged: Number(events), calls, isOrdered: true }
  const file = checkLines('memory', linesOf(path), expected)
  rmSync(path)
  const answer: MemoryAnswer = { idleBytes, peakBytes, file }
  console.log(JSON.stringify(answer))
}

/** Records so many events; returns the peak of the resident set in each fifth of them. */
async function record(path: string, cycle: CallCycle, events: number): Promise<number[]> {
  const writer = OURS.open(path)
  const peaks: number[] = new Array(FIFTHS).fill(0)
  let begun = 0
  const lane = async () => {
    while (begun < events) {
      const index = begun++
      if (index % LOOK_EVERY === 0) {
        const fifth = Math.floor((index * FIFTHS) / events)
        peaks[fifth] = Math.max(peaks[fifth] ?? 0, process.memoryUsage.rss())
      }
      const outcome = await writer.append(cycle.next())
      if (outcome !== 'durable') throw new Error(`an event's outcome was ${outcome}`)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  await writer.close()
  return peaks
}

main().catch((thrown: unknown) => {
  console.error(thrown)
  process.exitCode = 1
})
