import { readdirSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'

interface Process {
  readonly parent: string
  readonly group: string
  readonly session: string
}

/** Whether the process catches or ignores the signal; true if the system does not say. */
export function handlesSignal(pid: number, signal: NodeJS.Signals): boolean {
  const bit = 1n << BigInt(constants.signals[signal] - 1)
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const masks = [...status.matchAll(/^Sig(?:Cgt|Ign):\s*([0-9a-f]+)$/gm)]
    return masks.some(([, mask]) => (BigInt(`0x${mask}`) & bit) !== 0n)
  } catch {
    return true
  }
}

/**
 * Whether this process's group has no member whose parent is in another group of the session: then there
 * is no shell that would have it go on, and the kernel's own stop signals do not stop it either.
 */
export function isGroupOrphaned(): boolean {
  const all = new Map<string, Process>()
  for (const pid of pids()) {
    const found = processAt(pid)
    if (found !== undefined) all.set(pid, found)
  }
  const own = all.get(String(process.pid))
  const members = [...all.values()].filter(({ group }) => group === own?.group)
  return !members.some(({ parent, group, session }) => {
    const above = all.get(parent)
    return above !== undefined && above.session === session && above.group !== group
  })
}

function pids(): readonly string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  } catch {
    return []
  }
}

function processAt(pid: string): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [, parent = '', group = '', session = ''] = fields
    return { parent, group, session }
  } catch {
    return undefined
  }
}
