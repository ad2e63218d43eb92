import { percentileName, type Slo } from '../../toolkit/disk/slo'
import { formatMs } from '../../toolkit/text/time'
import {
  type Candidate,
  candidatesOf,
  type Disturbance,
  disturbancesOf,
  latencyOf,
  meets,
} from './candidate'
import { COMPARED_LOADS, type Setting, settingName } from './settings'
import type { Trial } from './trial'

/** The end of the report. */
export interface Verdict {
  readonly pass: boolean
  /** Whether something other than the load has slowed the trials, so that they say nothing. */
  readonly disturbed: boolean
  /** The setting to use; the defaults if the run was disturbed. */
  readonly setting: Setting
  /** Why this one, in a sentence or two. */
  readonly reason: string
  /** How far it is from the limit, in a sentence, or what to do. */
  readonly headRoom: string
}

/** The share by which another setting must be better than the plainest; less may be noise. */
const CLEARLY_BETTER = 0.75

/**
 * The setting, beside the plainest, that the trials favour: it is better at the rate, at half and at twice of
 * it. `trials` begin with the plainest setting; disturbed settings are not compared.
 */
export function favouriteOf(trials: readonly Trial[], slo: Slo): Setting | undefined {
  const candidates = candidatesOf(trials)
  const best = bestOf(plainestOf(candidates), candidates, slo)
  return best === candidates[0] ? undefined : best.setting
}

/**
 * Chooses: the favourite of the first trials, if the second ones favour it as well; otherwise the plainest
 * setting, with which both begin.
 * @param again second trials of the plainest setting and the favourite; empty if there is none
 */
export function choose(trials: readonly Trial[], again: readonly Trial[], slo: Slo): Verdict {
  const candidates = candidatesOf(trials)
  const plainest = plainestOf(candidates)
  const favourite = bestOf(plainest, candidates, slo)
  const isConfirmed = again.length > 0 && favouriteOf(again, slo) !== undefined
  const chosen = isConfirmed ? favourite : plainest
  const pass = meets(chosen.rate, slo)
  // If more work has missed the limit too, nothing says that the rate could meet it.
  const disturbance = candidates
    .flatMap((one) => disturbancesOf(one, slo))
    .find(({ heavier }) => meets(heavier, slo))
  if (!pass && disturbance !== undefined) return disturbedVerdict(plainest, disturbance, slo)
  const once = chosen === favourite ? '' : ` ${onceBetter(favourite, again)}`
  return {
    pass,
    disturbed: false,
    setting: chosen.setting,
    reason: `${pass ? reasonOf(chosen, plainest, slo) : failureOf(chosen, plainest, slo)}${once}`,
    headRoom: headRoomOf(chosen, slo),
  }
}

function plainestOf([plainest]: readonly Candidate[]): Candidate {
  if (plainest === undefined) throw new RangeError('choose from no trials')
  return plainest
}

/** The plainest setting, unless another is better; if it was disturbed, none can be compared with it. */
function bestOf(plainest: Candidate, candidates: readonly Candidate[], slo: Slo): Candidate {
  if (isDisturbed(plainest, slo)) return plainest
  return candidates
    .filter((one) => !isDisturbed(one, slo) && isBetter(one, plainest, slo))
    .reduce((best, one) => (best === plainest || isBetter(one, best, slo) ? one : best), plainest)
}

function isDisturbed(candidate: Candidate, slo: Slo): boolean {
  return disturbancesOf(candidate, slo).length > 0
}

/** Clearly better at the rate, and better at half and twice of it. */
function isBetter(one: Candidate, best: Candidate, slo: Slo): boolean {
  return COMPARED_LOADS.every((load) => {
    const share = load === 'rate' ? CLEARLY_BETTER : 1
    return isBetterTrial(one[load], best[load], slo, share)
  })
}

/** Whether it alone keeps up or meets the limit or, if that is the same for both, is faster by the share. */
function isBetterTrial(
  one: Trial | undefined,
  other: Trial | undefined,
  slo: Slo,
  share: number,
): boolean {
  if (one === undefined || other === undefined) return false
  if (one.keepsUp !== other.keepsUp) return one.keepsUp
  if (meets(one, slo) !== meets(other, slo)) return meets(one, slo)
  return latencyOf(one, slo) < latencyOf(other, slo) * share
}

function onceBetter({ setting }: Candidate, again: readonly Trial[]): string {
  const name = capitalized(settingName(setting))
  return again.length === 0
    ? `${name} was better once, and there was no time left to try it again.`
    : `${name} was better once, but not when both were tried again.`
}

function disturbedVerdict(plainest: Candidate, disturbance: Disturbance, slo: Slo): Verdict {
  return {
    pass: false,
    disturbed: true,
    setting: plainest.setting,
    reason: `The disk or the machine was disturbed: ${evidenceOf(disturbance, slo)}.`,
    headRoom:
      'Measure again while less else is running, and without --quick; until then keep the defaults.',
  }
}

function evidenceOf({ slow, heavier }: Disturbance, slo: Slo): string {
  const [less, more] = [slow, heavier].map(
    (trial) => `${resultOf(trial, slo)} at ${count(trial.rate ?? 0)}/s`,
  )
  return `with ${settingName(slow.setting)} it had ${less}, but ${more}, which is more work`
}

function reasonOf(chosen: Candidate, plainest: Candidate, slo: Slo): string {
  if (chosen === plainest) return plainReasonOf(plainest, slo)
  const [one, other] = [chosen.rate, plainest.rate]
  return `${capitalized(settingName(chosen.setting))} has ${resultOf(one, slo)} at ${count(one.syncsPerSecond)} syncs/s, against ${resultOf(other, slo)} and ${count(other.syncsPerSecond)} syncs/s with the defaults; it was better in two trials at the rate, at half and at twice of it.`
}

function plainReasonOf(plainest: Candidate, slo: Slo): string {
  const own = resultOf(plainest.rate, slo)
  const [disturbance] = disturbancesOf(plainest, slo)
  return disturbance === undefined
    ? `No setting was better at the rate, at half and at twice of it, in two trials (${own}): events that arrive during one sync share the next without waiting for it.`
    : `The defaults meet the limit (${own}). Whether another setting is better is unknown, since the disk or the machine was disturbed: ${evidenceOf(disturbance, slo)}.`
}

function failureOf(chosen: Candidate, plainest: Candidate, slo: Slo): string {
  return chosen === plainest
    ? 'No setting meets the limit; none comes clearly nearer than the defaults.'
    : `No setting meets the limit; this one comes nearest. ${reasonOf(chosen, plainest, slo)}`
}

/** The measured figures, in a few words. */
function resultOf(trial: Trial, slo: Slo): string {
  const result = `${percentileName(slo.percentile)} ${formatMs(latencyOf(trial, slo))}`
  return trial.keepsUp ? result : `${result} and a queue that grew`
}

function headRoomOf({ rate, twice, most }: Candidate, slo: Slo): string {
  const name = percentileName(slo.percentile)
  const latency = latencyOf(rate, slo)
  const times = latency <= slo.ms ? slo.ms / latency : latency / slo.ms
  const relation = latency <= slo.ms ? 'below' : 'above'
  const behind = rate.keepsUp ? '' : ', and the queue grew'
  const parts = [
    `At ${count(rate.rate ?? 0)}/s ${name} is ${times.toFixed(1)} times ${relation} the limit of ${formatMs(slo.ms)}${behind}`,
  ]
  if (twice !== undefined) {
    const verdict = meets(twice, slo) ? 'still within it' : 'beyond it'
    parts.push(`at twice the rate it is ${formatMs(latencyOf(twice, slo))}, ${verdict}`)
  }
  if (most !== undefined) {
    const share = most.achieved / (rate.rate ?? 1)
    parts.push(
      `the most was ${count(most.achieved)}/s, ${share < 10 ? share.toFixed(1) : count(share)} times the rate`,
    )
  }
  return `${parts.join('; ')}.`
}

/** The options as one pastes them into the constructor's call. */
export function optionsBlock({ maxEvents, maxDelayMs }: Setting): string {
  const events = maxEvents === undefined ? '' : `, maxEvents: ${maxEvents}`
  return [
    'new ExecAudit(policy, diagnostics, {',
    `  fsync: { maxDelayMs: ${maxDelayMs}${events} },`,
    '})',
  ].join('\n')
}

function count(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 })
}

function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}
