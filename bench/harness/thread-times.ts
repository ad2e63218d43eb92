import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'

/*
 * The processor's time that each thread of this process has used, by the kernel's own clock of it: the first
 * number of /proc/self/task/TID/schedstat, in nanoseconds. It stands still while other programs run.
 */

const TASKS = '/proc/self/task'

/** Nanoseconds by thread; empty if the system does not say. */
export type ThreadTimes = ReadonlyMap<string, number>

/** What the threads have used until now. */
export function threadTimes(): ThreadTimes {
  const times = new Map<string, number>()
  for (const thread of threads()) {
    const ns = Number(textOf(`${TASKS}/${thread}/schedstat`)?.split(' ')[0])
    if (Number.isFinite(ns)) times.set(thread, ns)
  }
  return times
}

/** Microseconds of the processor per event: of this thread, and of the busiest other one. */
export function cpuPerEvent(before: ThreadTimes, after: ThreadTimes, events: number) {
  const used = [...after].map(([thread, ns]) => {
    return { thread, us: (ns - (before.get(thread) ?? 0)) / 1_000 / events }
  })
  if (used.length === 0) return {}
  const own = ownThread()
  const others = used.filter(({ thread }) => thread !== own)
  return {
    callerCpuUs: used.find(({ thread }) => thread === own)?.us ?? Number.NaN,
    workerCpuUs: Math.max(0, ...others.map(({ us }) => us)),
  }
}

function threads(): readonly string[] {
  try {
    return readdirSync(TASKS)
  } catch {
    return []
  }
}

function ownThread(): string {
  return basename(readlinkSync('/proc/thread-self'))
}

/** Undefined if the thread has ended meanwhile, or the kernel keeps no such statistics. */
function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
