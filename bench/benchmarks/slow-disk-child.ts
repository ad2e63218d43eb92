/*
 * Runs one trial of slow-disk.ts, in the process whose syncs are slowed.
 */

import { percentile } from '../harness/statistics'
import { runTrial } from '../harness/trial'
import { calls } from '../harness/workload'
import { type ChildAnswer, type ChildTask, SLOW_DISK_CONTENDERS } from './slow-disk'

async function main(): Promise<void> {
  const task: ChildTask = JSON.parse(process.argv[2] ?? '')
  const { inFlight } = task
  const contender = SLOW_DISK_CONTENDERS.find(({ name }) => name === task.contender)
  if (contender === undefined) throw new RangeError(`no contender is called ${task.contender}`)
  const { measured, ascendingNs, file } = await runTrial(contender, calls, inFlight, task)
  const answer: ChildAnswer = { measured, minUs: percentile(ascendingNs, 0) / 1_000, file }
  console.log(JSON.stringify(answer))
}

main().catch((thrown: unknown) => {
  console.error(thrown)
  process.exitCode = 1
})
