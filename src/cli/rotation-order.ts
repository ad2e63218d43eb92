import { visible } from './escape'
import { STDIN } from './log-input'

/*
 * A shell makes of exec.log* the newest file first, and exec.log.10 before exec.log.2. Read like that a good
 * log looks broken: exits stand before their requests. So the files of one rotation are read in its order,
 * which their names tell. The times in them do not: a clock may have been set back.
 */

/** A log's name as logrotate makes them: with a number, the higher the older, or with a date. */
const ROTATED =
  /^(?<log>.+?)(?:\.(?<number>\d{1,4})|[.-](?<date>\d{4}-?\d\d-?\d\d[\d-]*))?(?:\.gz)?$/s
const PACKED = '.gz'

interface RotatedLog {
  readonly name: string
  /** The name before it was rotated. */
  readonly log: string
  readonly number: number | undefined
  readonly date: string | undefined
}

/** The logs in the order in which they were written, and what an operator should know of it. */
export interface OrderedLogs {
  readonly names: readonly string[]
  readonly notes: readonly string[]
}

/** Puts the files of one log in order, and leaves out packed copies; other names stay as they are. */
export function inRotationOrder(named: readonly string[]): OrderedLogs {
  // While gzip packs exec.log.1 both are there, and the packed one is not whole.
  const isCopy = (name: string) =>
    name.endsWith(PACKED) && named.includes(name.slice(0, -PACKED.length))
  const given = named.filter((name) => !isCopy(name))
  const names = ordered(given)
  const left = named.filter(isCopy).map((name) => {
    const whole = visible(name.slice(0, -PACKED.length))
    return `${visible(name)} is left out, since ${whole} is named too`
  })
  if (names.every((name, i) => name === given[i])) return { names, notes: left }
  const [first = '', last = ''] = [names[0], names.at(-1)]
  const order = `read as they were rotated, from ${visible(first)} to ${visible(last)}`
  return { names, notes: [...left, order] }
}

function ordered(given: readonly string[]): readonly string[] {
  const logs = given.map(parse)
  const [first] = logs
  const isOneLog = logs.every(({ name, log }) => log === first?.log && name !== STDIN)
  const hasNumbers = logs.some(({ number }) => number !== undefined)
  const hasDates = logs.some(({ date }) => date !== undefined)
  if (!isOneLog || (hasNumbers && hasDates)) return given
  return logs.toSorted(byAge).map(({ name }) => name)
}

function parse(name: string): RotatedLog {
  const { log = name, number, date } = ROTATED.exec(name)?.groups ?? {}
  return { name, log, number: number === undefined ? undefined : Number(number), date }
}

/** The oldest first; the one that is still written to has neither number nor date. */
function byAge(a: RotatedLog, b: RotatedLog): number {
  const byNumber = (b.number ?? -1) - (a.number ?? -1)
  const [left, right] = [a.date ?? LAST, b.date ?? LAST]
  return byNumber !== 0 ? byNumber : left < right ? -1 : left > right ? 1 : 0
}

/** After all dates. */
const LAST = '~'
