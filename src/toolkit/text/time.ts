const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const UNITS: readonly [names: RegExp, ms: number][] = [
  [/^(?:ms|msecs?|milliseconds?)$/, 1],
  [/^(?:s|secs?|seconds?)$/, SECOND_MS],
  [/^(?:m|mins?|minutes?)$/, MINUTE_MS],
  [/^(?:h|hrs?|hours?)$/, HOUR_MS],
  [/^(?:d|days?)$/, DAY_MS],
  [/^(?:w|weeks?)$/, 7 * DAY_MS],
]
/** The last moment that a Date can hold. */
const DATE_MS_MAX = 8.64e15

const AGO = /^-?((?:\d{1,9}\s*[a-z]+[\s,]*)+?)(?:\s+ago)?$/
const LENGTH = /^(?:\d{1,9}\s*[a-z]+[\s,]*)+$/
const AGO_PART = /(\d+)\s*([a-z]+)/g
/** Fewer digits could be seconds, which are written with an @. */
const MILLISECONDS = /^\d{12,16}$/
/** More digits would be milliseconds taken for seconds. */
const EPOCH = /^@(\d{1,11})(?:[.,](\d{1,9}))?$/
const DATE = /^(\d{4})-(\d{2})-(\d{2})(?:(?:t|\s+)(.+))?$/
const DAY = /^(today|yesterday)(?:(?:\s+at)?\s+(.+))?$/
const CLOCK =
  /^(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:\s*(z|utc|gmt|[+-]\d{2}(?::?\d{2})?))?$/

export const WHEN_FORMS =
  '2026-11-23, 2026-11-23T15:30:01.5Z, 15:30, yesterday 15:30, 1h30m, 2 hours ago, @1795381262 or 1795381262971'

/**
 * A moment as people write it, in milliseconds since 1970; undefined if the text is none. Without a zone
 * it is local time; `2h` is two hours before `now`, `15:30` is today, a number is the log's own milliseconds and
 * after an @ seconds. What is finer than a millisecond is cut off, as the log has it.
 * @throws RangeError for a local time that a change of the clocks skips, or that comes twice
 */
export function parseWhen(text: string, now: number = Date.now()): number | undefined {
  const trimmed = text.trim().toLowerCase()
  if (trimmed === 'now') return now
  if (MILLISECONDS.test(trimmed)) return inRange(Number(trimmed))
  const epoch = EPOCH.exec(trimmed)
  if (epoch !== null) return inRange(Number(epoch[1]) * SECOND_MS + millisecondsOf(epoch[2]))
  const ago = AGO.exec(trimmed)
  if (ago !== null) return before(now, ago[1] ?? '')
  const day = DAY.exec(trimmed)
  if (day !== null) return moment(dayOf(now, day[1] === 'today' ? 0 : -1), day[2])
  const date = DATE.exec(trimmed)
  if (date === null) return moment(dayOf(now, 0), trimmed)
  const [, year, month, dayOfMonth, clock] = date
  return moment([Number(year), Number(month) - 1, Number(dayOfMonth)], clock)
}

function inRange(ms: number): number | undefined {
  return ms <= DATE_MS_MAX ? ms : undefined
}

/** The digits after a decimal point as milliseconds. */
function millisecondsOf(fraction = ''): number {
  return Number(fraction.slice(0, 3).padEnd(3, '0'))
}

function before(now: number, length: string): number | undefined {
  const ms = lengthOf(length)
  return ms === undefined ? undefined : now - ms
}

/** Numbers with their units as milliseconds. */
function lengthOf(text: string): number | undefined {
  let ms = 0
  for (const [, value, name = ''] of text.matchAll(AGO_PART)) {
    const [, unit] = UNITS.find(([names]) => names.test(name)) ?? []
    if (unit === undefined) return undefined
    ms += Number(value) * unit
  }
  return ms
}

/** A length of time with its units, such as `60s`, `1500ms` or `1h 30min`; undefined if the text is none. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim().toLowerCase()
  return LENGTH.test(trimmed) ? lengthOf(trimmed) : undefined
}

type Day = readonly [year: number, month: number, day: number]

function dayOf(now: number, days: number): Day {
  const today = new Date(now)
  const date = new Date(today.getFullYear(), today.getMonth(), today.getDate() + days, 12)
  return [date.getFullYear(), date.getMonth(), date.getDate()]
}

/** A time of a day; without one, the day's first moment. */
function moment(day: Day, clock: string | undefined): number | undefined {
  if (!isDay(day)) return undefined
  // Midnight itself may be skipped or come twice; the day begins all the same.
  if (clock === undefined)
    return Math.min(new Date(...day).getTime(), ...localMoments(day, [0, 0, 0, 0]))
  const parts = CLOCK.exec(clock)
  if (parts === null) return undefined
  const [hours = 0, minutes = 0, seconds = 0] = [parts[1], parts[2], parts[3] ?? 0].map(Number)
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined
  const time: Time = [hours, minutes, seconds, millisecondsOf(parts[4])]
  const zone = parts[5]
  if (zone === undefined) return localMoment(day, time)
  const offsetMs = zoneMs(zone)
  return offsetMs === undefined ? undefined : Date.UTC(...day, ...time) - offsetMs
}

type Time = readonly [hours: number, minutes: number, seconds: number, ms: number]

/** The one moment of a local time. Throws if there is none or there are two, as where clocks change. */
function localMoment(day: Day, time: Time): number {
  const [first, second] = localMoments(day, time)
  if (first === undefined) {
    throw new RangeError('Expected a local time that exists: the clocks are put forward then.')
  }
  if (second === undefined) return first
  const choices = [first, second].map(withOffset).join(' or ')
  throw new RangeError(
    `Expected an offset, since the clocks are put back then, and this local time comes twice: ${choices}.`,
  )
}

/** The moments at which clocks here show a time. A zone changes at most once within two days. */
function localMoments(day: Day, time: Time): readonly number[] {
  const utc = Date.UTC(...day, ...time)
  const offsets = [utc - DAY_MS, utc + DAY_MS].map((ms) => new Date(ms).getTimezoneOffset())
  const moments = [...new Set(offsets)].map((minutes) => utc + minutes * MINUTE_MS)
  return moments
    .filter((ms) => ms - new Date(ms).getTimezoneOffset() * MINUTE_MS === utc)
    .sort((a, b) => a - b)
}

/** A moment in local time with its offset from UTC. */
function withOffset(ms: number): string {
  const minutes = -new Date(ms).getTimezoneOffset()
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60]
  const offset = [hours, rest].map((value) => String(value).padStart(2, '0')).join(':')
  return `${formatTime(ms).replace(' ', 'T').replace('.000', '')}${minutes < 0 ? '-' : '+'}${offset}`
}

function isDay([year, month, day]: Day): boolean {
  const date = new Date(Date.UTC(year, month, day))
  // Date takes a year below 100 for one of the 20th century.
  return date.getUTCFullYear() === year && date.getUTCMonth() === month && date.getUTCDate() === day
}

function zoneMs(zone: string): number | undefined {
  if (!/^[+-]/.test(zone)) return 0
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(3).replace(':', ''))]
  if (hours > 23 || minutes > 59) return undefined
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * MINUTE_MS
}

/** A moment to the millisecond, in local time or UTC. */
export function formatTime(ms: number, isUtc = false): string {
  if (ms > DATE_MS_MAX) return `${ms} ms after 1970`
  const local = new Date(ms)
  const date = isUtc ? local : new Date(ms - local.getTimezoneOffset() * MINUTE_MS)
  const text = date.toISOString().replace('T', ' ')
  return isUtc ? text : text.slice(0, -1)
}

/** A length of time with the figures that matter: `12 ms`, `1.860 s`, `30 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatDuration(ms: number | bigint): string {
  const length = Number(ms)
  if (length < 0) return `-${formatDuration(-length)}`
  if (length < SECOND_MS) return `${length} ms`
  if (length < MINUTE_MS) {
    return length % SECOND_MS === 0
      ? `${length / SECOND_MS} s`
      : `${(length / SECOND_MS).toFixed(3)} s`
  }
  if (length < HOUR_MS) return twoUnits(length, MINUTE_MS, 'min', SECOND_MS, 's')
  if (length < DAY_MS) return twoUnits(length, HOUR_MS, 'h', MINUTE_MS, 'min')
  return twoUnits(length, DAY_MS, 'd', HOUR_MS, 'h')
}

function twoUnits(ms: number, large: number, name: string, small: number, smallName: string) {
  const rest = Math.floor((ms % large) / small)
  const first = `${Math.floor(ms / large)} ${name}`
  return rest === 0 ? first : `${first} ${rest} ${smallName}`
}

/** A length of time in seven columns at most: `999 ms`, `59.9 s`, `3m 20s`, `2h 5m`, `12d 3h`. */
export function formatShortDuration(ms: number | bigint): string {
  const length = Number(ms)
  if (length < SECOND_MS) return `${length} ms`
  if (length < MINUTE_MS) return `${(Math.floor(length / 100) / 10).toFixed(1)} s`
  const text = formatDuration(length)
  return text.replace(/ min\b/, 'm').replace(/ ([shd])\b/g, '$1')
}

/** A length of time in one unit, in four columns at most: `99ms`, `0.1s`, `59s`, `59m`, `23h`, `12d`. */
export function formatBriefDuration(ms: number | bigint): string {
  const length = Number(ms)
  if (length < SECOND_MS / 10) return `${length}ms`
  if (length < 10 * SECOND_MS) return `${(Math.floor(length / 100) / 10).toFixed(1)}s`
  if (length < MINUTE_MS) return `${Math.floor(length / SECOND_MS)}s`
  if (length < HOUR_MS) return `${Math.floor(length / MINUTE_MS)}m`
  if (length < DAY_MS) return `${Math.floor(length / HOUR_MS)}h`
  return `${Math.floor(length / DAY_MS)}d`
}

/** Milliseconds with the unit that one reads: `12 µs`, `1.5 ms`, `2 s`. */
export function formatMs(ms: number): string {
  const [value, unit] = ms < 1 ? [ms * 1_000, 'µs'] : ms < 1_000 ? [ms, 'ms'] : [ms / 1_000, 's']
  return `${value.toLocaleString('en-US', { maximumSignificantDigits: 3 })} ${unit}`
}
