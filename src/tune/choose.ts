import { LOADS, type Setting, settingName } from './settings'
import { formatMs, percentileName, type Slo } from './slo'
import type { Trial } from './trial'

/** The end of the report. */
export interface Verdict {
  readonly pass: boolean
  readonly setting: Setting
  /** Why this one, in a sentence. */
  readonly reason: string
  /** How far it is from the limit, in a sentence. */
  readonly headRoom: string
}

/** All trials of one setting. */
interface Candidate {
  readonly setting: Setting
  readonly rate: Trial
  readonly twice: Trial | undefined
  readonly half: Trial | undefined
  readonly most: Trial | undefined
}

/** Another setting than the plainest must be better by so much, or the difference may be noise. */
const CLEARLY_BETTER = 0.75

/**
 * Chooses by the given rate: what meets the SLO there, then also at twice the rate, then what is
 * clearly faster than the plainest. `trials` begin with the plainest setting.
 */
export function choose(trials: readonly Trial[], slo: Slo): Verdict {
  const candidates = candidatesOf(trials)
  const [plainest] = candidates
  if (plainest === undefined) throw new RangeError('choose from no trials')
  const score = ({ half, rate, twice }: Candidate) =>
    [rate, half, twice].reduce((sum, trial, i) => sum + (meets(trial, slo) ? 4 >> i : 0), 0)
  const best = Math.max(...candidates.map(score))
  const equals = candidates.filter((candidate) => score(candidate) === best)
  const latency = ({ rate }: Candidate) => rate.ackMs[slo.percentile]
  const fastest = equals.reduce((a, b) => (latency(b) < latency(a) ? b : a))
  const first = equals[0] ?? fastest
  const isClear = latency(fastest) < latency(first) * CLEARLY_BETTER
  const chosen = isClear ? fastest : first
  const pass = meets(chosen.rate, slo)
  return {
    pass,
    setting: chosen.setting,
    reason: pass ? reasonOf(chosen, plainest, slo) : failureOf(chosen, plainest, slo),
    headRoom: headRoomOf(chosen, slo),
  }
}

/** Whether a trial kept up and stayed within the limit. */
function meets(trial: Trial | undefined, slo: Slo): boolean {
  if (trial === undefined) return false
  return trial.keepsUp && trial.ackMs[slo.percentile] <= slo.ms
}

function candidatesOf(trials: readonly Trial[]): Candidate[] {
  const names = [...new Set(trials.map(({ setting }) => settingName(setting)))]
  return names.flatMap((name) => {
    const own = trials.filter(({ setting }) => settingName(setting) === name)
    const [half, rate, twice, most] = LOADS.map((load) =>
      own.find((trial) => trial.load === load.name),
    )
    return rate === undefined ? [] : [{ setting: rate.setting, half, rate, twice, most }]
  })
}

function reasonOf(chosen: Candidate, plainest: Candidate, slo: Slo): string {
  const name = percentileName(slo.percentile)
  const own = `${name} ${formatMs(chosen.rate.ackMs[slo.percentile])}`
  if (chosen === plainest) {
    return `No setting that holds as well at half and twice the rate was clearly better (${own}): what arrives during one sync shares the next without waiting for it.`
  }
  const plain = plainest.rate
  const than = `${name} ${formatMs(plain.ackMs[slo.percentile])} and ${count(plain.syncsPerSecond)} syncs/s with the defaults`
  return `${capitalized(settingName(chosen.setting))} has ${own} at ${count(chosen.rate.syncsPerSecond)} syncs/s, against ${than}.`
}

function failureOf(chosen: Candidate, plainest: Candidate, slo: Slo): string {
  return chosen === plainest
    ? 'No setting meets the limit; the defaults come nearest.'
    : `No setting meets the limit; this one comes nearest. ${reasonOf(chosen, plainest, slo)}`
}

function headRoomOf({ rate, twice, most }: Candidate, slo: Slo): string {
  const name = percentileName(slo.percentile)
  const latency = rate.ackMs[slo.percentile]
  const times = latency <= slo.ms ? slo.ms / latency : latency / slo.ms
  const relation = latency <= slo.ms ? 'below' : 'above'
  const behind = rate.keepsUp ? '' : ', and the queue grew'
  const parts = [
    `At ${count(rate.rate ?? 0)}/s ${name} is ${times.toFixed(1)} times ${relation} the limit of ${formatMs(slo.ms)}${behind}`,
  ]
  if (twice !== undefined) {
    const verdict = meets(twice, slo) ? 'still within it' : 'beyond it'
    parts.push(`at twice the rate it is ${formatMs(twice.ackMs[slo.percentile])}, ${verdict}`)
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
