import type { Slo } from '../../toolkit/disk/slo'
import { LOADS, type LoadName, type Setting, settingName } from './settings'
import type { Trial } from './trial'

/** All trials of one setting; undefined if there was no time left for one of them. */
export interface Candidate extends Readonly<Record<LoadName, Trial | undefined>> {
  readonly setting: Setting
  readonly rate: Trial
}

/** If the latency under a heavier load is smaller by this factor, the load did not slow the lighter one. */
const DISTURBED_TIMES = 3
/** Below this a thread that sleeps deeper under a light load may be all the difference. */
const DISTURBED_MS = 2

/** The settings that were tried at the rate, in the order of their trials. */
export function candidatesOf(trials: readonly Trial[]): Candidate[] {
  const names = [...new Set(trials.map(({ setting }) => settingName(setting)))]
  return names.flatMap((name) => {
    const own = trials.filter(({ setting }) => settingName(setting) === name)
    const [half, rate, twice, most] = LOADS.map((load) =>
      own.find((trial) => trial.load === load.name),
    )
    return rate === undefined ? [] : [{ setting: rate.setting, half, rate, twice, most }]
  })
}

/** Whether a trial kept up and stayed within the limit. */
export function meets(trial: Trial | undefined, slo: Slo): boolean {
  if (trial === undefined) return false
  return trial.keepsUp && latencyOf(trial, slo) <= slo.ms
}

/** The latency that the SLO is about. */
export function latencyOf(trial: Trial, slo: Slo): number {
  return trial.ackMs[slo.percentile]
}

/** A trial that something else than its load has slowed, and the heavier one that shows it. */
export interface Disturbance {
  readonly slow: Trial
  readonly heavier: Trial
}

/** Latency grows with the load. If it is far smaller under a heavier load, a setting was disturbed. */
export function disturbancesOf({ half, rate, twice }: Candidate, slo: Slo): Disturbance[] {
  const pairs = [
    [half, rate],
    [rate, twice],
    [half, twice],
  ] as const
  return pairs.flatMap(([slow, heavier]) => {
    if (slow === undefined || heavier === undefined) return []
    return isDisturbed({ slow, heavier }, slo) ? [{ slow, heavier }] : []
  })
}

function isDisturbed({ slow, heavier }: Disturbance, slo: Slo): boolean {
  if (!heavier.keepsUp) return false
  // A group that fills sooner under more load need not wait for all of its delay.
  const spareMs = slow.setting.maxDelayMs + DISTURBED_MS
  const mostMs = DISTURBED_TIMES * latencyOf(heavier, slo) + spareMs
  return !slow.keepsUp || latencyOf(slow, slo) > mostMs
}
