import { strict as assert } from 'node:assert'
import type { SimulatedDisk } from './disk'
import type { FileNode } from './inodes'
import { endOf, type ReportedFragment, type SimulatedEvent } from './writer'

/** The results of a run that is over. */
export interface Run {
  readonly events: readonly SimulatedEvent[]
  readonly reported: readonly ReportedFragment[]
  readonly unreported: ReadonlySet<string>
  /** The moments after which a group is written again, in calls of the disk. */
  readonly excusedAt: readonly number[]
  /** Whether nobody else has touched the files, and the power stayed on. */
  readonly isQuiet: boolean
}

/** The beginning of every line of another process. */
export const FOREIGN = '{"foreign":'

/** A line of a file: which event it is, if it is one. */
interface Line {
  readonly text: string
  readonly offset: number
  /** Where it ends, newline included. */
  readonly end: number
  readonly event: SimulatedEvent | undefined
}

/** Checks everything that must be true of the files of a run, or of several runs on one disk. */
export function checkFiles(disk: SimulatedDisk, runs: readonly Run[]): void {
  const events = runs.flatMap((run) => run.events).filter(({ line }) => line !== '')
  const byLine = new Map(events.map((event) => [event.line.trimEnd(), event]))
  const files = disk.files.map((file) => ({ file, lines: linesOf(file, byLine) }))
  for (const { file, lines } of files) {
    for (const [i, line] of lines.entries()) checkLine(file, line, lines[i - 1], runs)
  }
  const found = files.flatMap(({ lines }) => lines.flatMap(({ event }) => event ?? []))
  checkOrder(
    events,
    found,
    runs.every(({ isQuiet }) => isQuiet),
  )
  for (const run of runs) checkCopies(run, found)
}

function linesOf(file: FileNode, byLine: ReadonlyMap<string, SimulatedEvent>): Line[] {
  let offset = 0
  return file.content
    .toString('latin1')
    .split('\n')
    .map((latin) => {
      const text = Buffer.from(latin, 'latin1').toString('utf8')
      const end = offset + latin.length + 1
      const line = { text, offset, end, event: byLine.get(text) }
      offset = end
      return line
    })
}

/** Every line is an event's, or another's, or a fragment that was reported. */
function checkLine(
  file: FileNode,
  { text, offset, end, event }: Line,
  before: Line | undefined,
  runs: readonly Run[],
): void {
  const isAtEnd = end > file.size
  if (event !== undefined || text === '' || isAtEnd || text.includes('\0')) return
  if (text.includes(FOREIGN) && text.endsWith('}')) return
  // If another process cuts a line in two, its second part follows that one's line or begins a truncated file.
  const tail = text.replace(/^\ufffd+/, '')
  const isCutOff = runs.some(({ events }) => events.some(({ line }) => line.endsWith(`${tail}\n`)))
  if (isCutOff && (before === undefined || before.text.includes(FOREIGN))) return
  const isReported = runs.some(
    ({ reported, unreported }) =>
      unreported.has(endOf(file, end)) ||
      reported.some((notice) => notice.file === file && notice.offset === offset),
  )
  assert(isReported, `a fragment that was not reported: ${text.slice(0, 80)} (${text.length})`)
}

/**
 * The events stand in the order of the calls, over all files: the first copies of all, and the last
 * copies of the durable ones. (A group whose sync has failed may be followed by a part of itself; if
 * others write in between, or the power fails, its first copy may lack its beginning.)
 */
function checkOrder(
  events: readonly SimulatedEvent[],
  found: readonly SimulatedEvent[],
  isQuiet: boolean,
): void {
  const places = found.map((event, at): [SimulatedEvent, number] => [event, at])
  if (isQuiet) checkAscending(events, new Map(places.toReversed()))
  const durable = events.filter((event) => event.outcome === 'durable' && !event.isTruncated)
  checkAscending(durable, new Map(places))
}

function checkAscending(
  events: readonly SimulatedEvent[],
  places: ReadonlyMap<SimulatedEvent, number>,
): void {
  let before = -1
  for (const event of events) {
    const at = places.get(event)
    if (at === undefined) continue
    assert(at > before, `event ${event.index} stands before an earlier one`)
    before = at
  }
}

/** No event stands twice, unless a sync had failed or others had touched the files meanwhile. */
function checkCopies({ events, excusedAt }: Run, found: readonly SimulatedEvent[]): void {
  const copies = new Map<SimulatedEvent, number>()
  for (const event of found) copies.set(event, (copies.get(event) ?? 0) + 1)
  for (const event of events) {
    if (event.line === '') continue
    const count = copies.get(event) ?? 0
    const { index, submittedAt, publishedAt } = event
    const isExcused = excusedAt.some((at) => at >= submittedAt && at <= publishedAt)
    assert(count < 2 || isExcused, `event ${index} stands ${count} times in the files`)
    const isThere = count > 0 || event.outcome !== 'durable' || event.isTruncated
    assert(isThere, `event ${index} was durable, and is nowhere`)
  }
}
