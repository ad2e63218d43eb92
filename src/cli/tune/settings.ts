/** One point of the sweep. */
export interface Setting {
  /** Undefined for all events that wait. */
  readonly maxEvents: number | undefined
  readonly maxDelayMs: number
}

/** The loads that each setting is put under, as a share of the rate; undefined is as much as possible. */
export const LOADS = [
  { name: 'half', share: 0.5 },
  { name: 'rate', share: 1 },
  { name: 'twice', share: 2 },
  { name: 'most', share: undefined },
] as const
export type LoadName = (typeof LOADS)[number]['name']

/** The loads at which a setting must be better than the defaults to be recommended. */
export const COMPARED_LOADS = ['half', 'rate', 'twice'] as const satisfies readonly LoadName[]

/** The most events per group, between one and all. */
const SOME_EVENTS = 64

/**
 * The settings to try on a disk whose sync takes `syncMs`: no company, or waiting for half a sync or
 * two; groups of any size, of 64, and of one. A group of one never waits. The plainest comes first.
 */
export function settingsFor(syncMs: number, isQuick: boolean): Setting[] {
  const delays = [0, syncMs / 2, syncMs * 2].map((ms) => Number(ms.toPrecision(1)))
  const all = delays.map((maxDelayMs) => ({ maxEvents: undefined, maxDelayMs }))
  const some = delays.map((maxDelayMs) => ({ maxEvents: SOME_EVENTS, maxDelayMs }))
  const one = { maxEvents: 1, maxDelayMs: 0 }
  const [plain, ...lingering] = all
  if (plain === undefined) return []
  return isQuick ? [plain, one, ...lingering.slice(0, 1)] : [plain, one, ...lingering, ...some]
}

export function settingName({ maxEvents, maxDelayMs }: Setting): string {
  return `delay ${maxDelayMs} ms, ${maxEvents ?? 'all'} per sync`
}
