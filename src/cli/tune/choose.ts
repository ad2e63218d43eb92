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
import { type Setting, settingName } from './settings'
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
 * Chooses by the given rate: the setting that meets the SLO there, then one that also does at twice and
 * half the rate, then one that is faster than the plainest. All but the first must be clear. Disturbed
 * settings are not compared. `trials` begin with the plainest setting.
 */
export function choose(trials: readonly Trial[], slo: Slo): Verdict {
  const candidates = candidatesOf(trials)
  const [plainest] = candidates
  if (plainest === undefined) throw new RangeError('choose from no trials')
  const chosen = bestOf(plainest, candidates, slo)
  const pass = meets(chosen.rate, slo)
  // If more work has missed the limit too, nothing says that the rate could meet it.
  const disturbance = candidates
    .flatMap((one) => disturbancesOf(one, slo))
    .find(({ heavier }) => meets(heavier, slo))
  if (!pass && disturbance !== undefined) return disturbedVerdict(plainest, disturbance, slo)
  return {
    pass,
    disturbed: false,
    setting: chosen.setting,
    reason: pass ? reasonOf(chosen, plainest, slo) : failureOf(chosen, plainest, slo),
    headRoom: headRoomOf(chosen, slo),
  }
}

/** The plainest setting, unless another is better; if it was disturbed, none can be compared with it. */
function bestOf(plainest: Candidate, candidates: readonly Candidate[], slo: Slo): Candidate {
  if (isDisturbed(plainest, slo)) return plainest
  return candidates
    .filter((one) => !isDisturbed(one, slo))
    .reduce((best, one) => (isBetter(one, best, slo) ? one : best), plainest)
}

function isDisturbed(candidate: Candidate, slo: Slo): boolean {
  return disturbancesOf(candidate, slo).length > 0
}

/** The loads beside the rate, by what they weigh. */
const OTHER_LOADS = ['twice', 'half'] as const
type ComparedLoad = 'rate' | (typeof OTHER_LOADS)[number]

function isBetter(one: Candidate, best: Candidate, slo: Slo): boolean {
  const load = decidingLoad(one, best, slo)
  if (load === 'rate') return meets(one.rate, slo)
  // More work that takes less time was lucky.
  if (load === 'twice' && isFaster(one.twice, one.rate, slo)) return false
  if (load !== undefined) return meets(one[load], slo) && isFaster(one[load], best[load], slo)
  const isSlower = OTHER_LOADS.some((name) => isFaster(best[name], one[name], slo))
  return isFaster(one.rate, best.rate, slo) && !isSlower
}

/** The load at which one of the two meets the limit and the other does not. */
function decidingLoad(one: Candidate, other: Candidate, slo: Slo): ComparedLoad | undefined {
  const differs = (load: ComparedLoad) => meets(one[load], slo) !== meets(other[load], slo)
  if (differs('rate')) return 'rate'
  // If the rate is too much for both, a difference between them says nothing.
  return meets(one.rate, slo) ? OTHER_LOADS.find(differs) : undefined
}

/** Whether a trial is clearly faster than another; one that keeps up is. */
function isFaster(one: Trial | undefined, other: Trial | undefined, slo: Slo): boolean {
  if (one === undefined || other === undefined) return one !== undefined
  if (one.keepsUp !== other.keepsUp) return one.keepsUp
  return latencyOf(one, slo) < latencyOf(other, slo) * CLEARLY_BETTER
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
  const load = decidingLoad(chosen, plainest, slo) ?? 'rate'
  const [one, other] = [chosen[load] ?? chosen.rate, plainest[load] ?? plainest.rate]
  const where = load === 'rate' ? '' : ` at ${load} the rate`
  return `${capitalized(settingName(chosen.setting))} has ${resultOf(one, slo)}${where} at ${count(one.syncsPerSecond)} syncs/s, against ${resultOf(other, slo)} and ${count(other.syncsPerSecond)} syncs/s with the defaults.`
}

function plainReasonOf(plainest: Candidate, slo: Slo): string {
  const own = resultOf(plainest.rate, slo)
  const [disturbance] = disturbancesOf(plainest, slo)
  return disturbance === undefined
    ? `No setting that holds as well at half and twice the rate was clearly better (${own}): events that arrive during one sync share the next without waiting for it.`
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
