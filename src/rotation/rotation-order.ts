/*
 * A shell expands exec.log* to the newest file first, and exec.log.10 before exec.log.2. In that order a good
 * log looks broken: exits stand before their requests. So the files of one rotation are read in its order,
 * which their names give. The times in them do not: a clock may have been set back. Names stand in the notes as
 * they are, and have to be escaped when they are shown.
 */

/** A log's name as logrotate makes them: with a number, the higher the older, or with a date. */
const ROTATED =
  /^(?<log>.+?)(?:\.(?<number>\d{1,4})|[.-](?<date>\d{4}-?\d\d-?\d\d[\d-]*))?(?:\.gz)?$/s
const COMPRESSED = '.gz'
/** The name of standard input on a command line: no file of a rotation. */
const STANDARD_INPUT = '-'

interface RotatedLog {
  readonly name: string
  /** The name before it was rotated. */
  readonly log: string
  readonly number: number | undefined
  readonly date: string | undefined
}

/** The logs in the order in which they were written, with notes for an operator. */
export interface OrderedLogs {
  readonly names: readonly string[]
  readonly notes: readonly string[]
}

/** Puts the files of one log in order, and leaves out compressed copies; other names stay as they are. */
export function inRotationOrder(named: readonly string[]): OrderedLogs {
  // While gzip compresses exec.log.1 both are there, and the compressed one is not whole.
  const isCopy = (name: string) =>
    name.endsWith(COMPRESSED) && named.includes(name.slice(0, -COMPRESSED.length))
  const given = named.filter((name) => !isCopy(name))
  const logs = rotationOf(given)
  const names = logs === undefined ? given : logs.map(({ name }) => name)
  const left = named.filter(isCopy).map((name) => {
    const whole = name.slice(0, -COMPRESSED.length)
    return `${name} is left out, since ${whole} is named too`
  })
  const notes = [...left, ...gapsIn(logs ?? [])]
  if (names.every((name, i) => name === given[i])) return { names, notes }
  const [first = '', last = ''] = [names[0], names.at(-1)]
  const order = `read as they were rotated, from ${first} to ${last}`
  return { names, notes: [...notes, order] }
}

/** The names in a folder that belong to a log, the oldest first, without compressed copies of others. */
export function filesOfLog(log: string, names: readonly string[]): readonly string[] {
  const isPart = (name: string) => {
    const parsed = parse(name)
    const isRotated = parsed.number !== undefined || parsed.date !== undefined
    return name === log || (parsed.log === log && isRotated)
  }
  const isCopy = (name: string) =>
    name.endsWith(COMPRESSED) && names.includes(name.slice(0, -COMPRESSED.length))
  const parts = names.filter((name) => isPart(name) && !isCopy(name))
  return parts
    .map(parse)
    .toSorted(byAge)
    .map(({ name }) => name)
}

/** The files of one rotation, the oldest first; undefined if they are not those of one rotation. */
function rotationOf(given: readonly string[]): readonly RotatedLog[] | undefined {
  const logs = given.map(parse)
  const [first] = logs
  const isOneLog = logs.every(({ name, log }) => log === first?.log && name !== STANDARD_INPUT)
  const hasNumbers = logs.some(({ number }) => number !== undefined)
  const hasDates = logs.some(({ date }) => date !== undefined)
  if (!isOneLog || (hasNumbers && hasDates)) return undefined
  return logs.toSorted(byAge)
}

/** Notes about the numbers that no file has: without these files the log looks whole, and is not. */
function gapsIn(logs: readonly RotatedLog[]): readonly string[] {
  if (logs.some(({ date }) => date !== undefined)) return []
  return logs.slice(1).flatMap(({ log, number = 0 }, i) => {
    const before = logs[i]?.number ?? 0
    const [newest, oldest] = [number + 1, before - 1].map((n) => `${log}.${n}`)
    const missing = before - number - 1
    if (missing < 1) return []
    const [what, where] =
      missing === 1 ? [`${newest} is`, 'it'] : [`${oldest} to ${newest} are`, 'them']
    return [`${what} not named: the events rotated into ${where} are not read`]
  })
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
