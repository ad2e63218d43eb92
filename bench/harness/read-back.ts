import { closeSync, openSync, readSync } from 'node:fs'
import type { FileCheck } from '../report/report'
import { type AuditCall, hex } from './workload'

const READ_BYTES = 4 * 1024 * 1024

/** The lines that {@link checkLines} expects. */
export interface Expected {
  readonly acknowledged: number
  /**
   * The calls that were acknowledged, in their order, from the first again after the last. If undefined, only
   * their number is checked.
   */
  readonly calls: readonly AuditCall[] | undefined
  /** Whether the lines stand in the order of the calls. */
  readonly isOrdered: boolean
}

/** The lines of a file. Throws if the last one has no end. */
export function* linesOf(path: string): Iterable<string> {
  const fd = openSync(path, 'r')
  const chunk = Buffer.alloc(READ_BYTES)
  let rest = Buffer.alloc(0)
  try {
    for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk)) {
      const bytes = Buffer.concat([rest, chunk.subarray(0, read)])
      let start = 0
      for (let end = bytes.indexOf('\n'); end !== -1; end = bytes.indexOf('\n', start)) {
        yield bytes.toString('utf8', start, end)
        start = end + 1
      }
      rest = bytes.subarray(start)
    }
  } finally {
    closeSync(fd)
  }
  if (rest.length > 0) throw new Error(`${path}: the last line has no end`)
}

/** Checks the lines that were stored. Throws unless they are exactly the acknowledged events. */
export function checkLines(name: string, lines: Iterable<string>, expected: Expected): FileCheck {
  const { acknowledged, isOrdered } = expected
  const keys = expected.calls?.map((call) => keyOf(call.method, hex(call.event.requestId)))
  const counts = new Map<string, number>()
  let count = 0
  for (const line of lines) {
    const key = keyOfLine(line)
    if (keys !== undefined && isOrdered && key !== keys[count % keys.length]) {
      throw new Error(`${name}: line ${count + 1} is another event's: ${line}`)
    }
    counts.set(key, (counts.get(key) ?? 0) + 1)
    count++
  }
  if (count !== acknowledged) {
    throw new Error(`${name}: ${acknowledged} events were acknowledged, ${count} are stored`)
  }
  keys?.forEach((key, i) => {
    const times = Math.max(0, Math.ceil((acknowledged - i) / keys.length))
    const found = counts.get(key) ?? 0
    if (found === times) return
    throw new Error(`${name}: ${key} is stored ${found} times, ${times} were acknowledged`)
  })
  return { name, acknowledged, lines: count }
}

function keyOf(event: string, requestId: string): string {
  return `${event} ${requestId}`
}

function keyOfLine(text: string): string {
  const line: unknown = JSON.parse(text)
  if (typeof line === 'object' && line !== null && 'event' in line && 'request_id' in line) {
    return keyOf(String(line.event), String(line.request_id))
  }
  throw new Error(`not an event's line: ${text}`)
}

/** The checks of several files as one. */
export function sumOfFiles(name: string, files: readonly FileCheck[]): FileCheck {
  const sum = (of: (file: FileCheck) => number) =>
    files.reduce((total, file) => total + of(file), 0)
  return { name, acknowledged: sum((file) => file.acknowledged), lines: sum((file) => file.lines) }
}
