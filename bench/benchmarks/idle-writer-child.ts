/*
 * The process that idle-writer.ts measures. Usage: FILE WRITERS: makes the writers, lets each record one event,
 * and answers with what the process takes while they are idle.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { OURS } from '../contenders/built-in'
import type { Writer } from '../harness/trial'
import { calls } from '../harness/workload'
import type { IdleAnswer } from './idle-writer'

/** Longer than a worker stays in blocking waits. */
const SETTLE_MS = 1_500
const IDLE_MS = 1_000

async function main(): Promise<void> {
  const [, , folder = '', writers = ''] = process.argv
  mkdirSync(folder)
  const open: Writer[] = []
  for (let i = 0; i < Number(writers); i++) {
    const writer = OURS.open(join(folder, `${i}.jsonl`))
    const [call] = calls
    if (call !== undefined) await writer.append(call)
    open.push(writer)
  }
  await sleep(SETTLE_MS)
  const before = process.cpuUsage()
  await sleep(IDLE_MS)
  const { user, system } = process.cpuUsage(before)
  const answer: IdleAnswer = {
    threads: readdirSync('/proc/self/task').length,
    bytes: process.memoryUsage.rss(),
    cpuUs: user + system,
  }
  for (const writer of open) await writer.close()
  rmSync(folder, { recursive: true })
  console.log(JSON.stringify(answer))
}

main().catch((thrown: unknown) => {
  console.error(thrown)
  process.exitCode = 1
})
