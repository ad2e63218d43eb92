const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const UNITS_MS: Readonly<Record<string, number>> = {
  s: SECOND_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
  w: 7 * DAY_MS,
}
/** The last moment that a Date can hold. */
const DATE_MS_MAX = 8.64e15

const AGO = /^(\d{1,9})\s*([smhdw])(?:\s+ago)?$/
const DATE = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](.+?)(Z|[+-]\d{2}:?\d{2})?)?$/
const CLOCK = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,3}))?)?$/

export const WHEN_FORMS = '2026-11-23, 2026-11-23T15:30, 15:30, 2h, 30m, today, yesterday or now'

/**
 * A moment as people write it, in milliseconds since 1970; undefined if the text is none. Without a zone
 * it is local time; `2h` is two hours before `now`, `15:30` is today.
 */
export function parseWhen(text: string, now: number = Date.now()): number | undefined {
  const trimmed = text.trim()
  if (trimmed === 'now') return now
  if (trimmed === 'today') return midnight(now, 0)
  if (trimmed === 'yesterday') return midnight(now, -1)
  const ago = AGO.exec(trimmed)
  if (ago !== null) return now - Number(ago[1]) * (UNITS_MS[ago[2] ?? ''] ?? Number.NaN)
  const date = DATE.exec(trimmed)
  if (date !== null) {
    const [, year, month, day, clock, zone] = date
    return moment([Number(year), Number(month) - 1, Number(day)], clock ?? '00:00', zone)
  }
  const today = new Date(now)
  return moment([today.getFullYear(), today.getMonth(), today.getDate()], trimmed, undefined)
}

function midnight(now: number, days: number): number {
  const date = new Date(now)
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + days).getTime()
}

type Day = readonly [year: number, month: number, day: number]

function moment([year, month, day]: Day, clock: string, zone: string | undefined) {
  const parts = CLOCK.exec(clock)
  if (parts === null) return undefined
  const [hours, minutes, seconds] = [parts[1], parts[2], parts[3] ?? 0].map(Number)
  const ms = Number((parts[4] ?? '').padEnd(3, '0'))
  if (hours === undefined || minutes === undefined || seconds === undefined) return undefined
  if (hours > 23 || minutes > 59 || seconds > 59 || !isDay(year, month, day)) return undefined
  if (zone === undefined) return new Date(year, month, day, hours, minutes, seconds, ms).getTime()
  return Date.UTC(year, month, day, hours, minutes, seconds, ms) - zoneMs(zone)
}

function isDay(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(year, month, day))
  return date.getUTCMonth() === month && date.getUTCDate() === day
}

function zoneMs(zone: string): number {
  if (zone === 'Z') return 0
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2))
  return (zone.startsWith('-') ? -minutes : minutes) * MINUTE_MS
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

/** Milliseconds with the unit that one reads: `12 µs`, `1.5 ms`, `2 s`. */
export function formatMs(ms: number): string {
  const [value, unit] = ms < 1 ? [ms * 1_000, 'µs'] : ms < 1_000 ? [ms, 'ms'] : [ms / 1_000, 's']
  return `${value.toLocaleString('en-US', { maximumSignificantDigits: 3 })} ${unit}`
}
