import { type Disk, describeMachine } from '../../toolkit/disk/disk'
import { RAW_METHODS, RawProbe, type RawSync, TOO_FAST_MS } from '../../toolkit/disk/raw-sync'
import type { Slo } from '../../toolkit/disk/slo'
import { formatMs } from '../../toolkit/text/time'
import { choose, optionsBlock } from './choose'
import type { TuneReport } from './report'
import { LOADS, settingName, settingsFor } from './settings'
import { runTrial, type Trial, type TrialPlan } from './trial'

/** The task of a run. */
export interface TuneTask {
  readonly disk: Disk
  /** Events per second. */
  readonly rate: number
  readonly eventBytes: number
  readonly slo: Slo
  readonly isQuick: boolean
}

/** The surroundings of a run: the folder for its files, its progress, and the signal that stops it. */
export interface TuneContext {
  readonly dir: string
  readonly signal: AbortSignal
  tell(text: string): void
  advance(ms: number): void
}

/** How long each part takes, in milliseconds. */
interface Pace {
  readonly rawMs: number
  readonly trialMs: number
  readonly warmUpMs: number
  /** When it is later than this, no further trial is begun. */
  readonly deadlineMs: number
}

const FULL: Pace = { rawMs: 350, trialMs: 1_250, warmUpMs: 150, deadlineMs: 54_000 }
const QUICK: Pace = { rawMs: 80, trialMs: 300, warmUpMs: 60, deadlineMs: 11_000 }
/** Beside the load and its warm-up, a trial starts threads and ends them. */
const TRIAL_EXTRA_MS = 250
/** A disk that takes longer than this for one trial does not answer. */
const TRIAL_MS_MAX = 30_000

const KIB = 1_024
/** How often each raw way has its turn. */
const RAW_TURNS = 4

/** How long a run is planned to take, in milliseconds. */
export function plannedMs(isQuick: boolean): number {
  const { rawMs } = paceOf(isQuick)
  const trials = settingsFor(1, isQuick).length * LOADS.length
  return RAW_METHODS.length * 3 * rawMs + trials * trialCostMs(isQuick)
}

function paceOf(isQuick: boolean): Pace {
  return isQuick ? QUICK : FULL
}

function trialCostMs(isQuick: boolean): number {
  const { trialMs, warmUpMs } = paceOf(isQuick)
  return trialMs + warmUpMs + TRIAL_EXTRA_MS
}

/** Measures the disk alone, then the writer on it, and chooses. */
export async function tune(task: TuneTask, context: TuneContext): Promise<TuneReport> {
  const { disk, rate, eventBytes, slo } = task
  const startMs = performance.now()
  const raw = await measureRaw(task, context)
  const syncMs = raw[0]?.ms.p50 ?? 1
  const plans = plansFor(task, syncMs)
  const trials: Trial[] = []
  for (const plan of plans) {
    const isLate = performance.now() - startMs > paceOf(task.isQuick).deadlineMs
    // The plainest setting is always measured whole.
    if (isLate && trials.length >= LOADS.length) break
    context.tell(`${settingName(plan.setting)}, ${plan.load}`)
    trials.push(await answered(runTrial(plan, context.dir, context.signal)))
    context.advance(trialCostMs(task.isQuick))
  }
  const verdict = choose(trials, slo)
  return {
    machine: describeMachine(),
    disk,
    rate,
    eventBytes,
    slo,
    warnings: [...rawWarnings(raw), ...lateWarnings(plans.length - trials.length)],
    raw,
    trials,
    verdict,
    options: optionsBlock(verdict.setting),
  }
}

/** In turns, so that a noisy moment hits all of them. */
async function measureRaw(task: TuneTask, context: TuneContext): Promise<RawSync[]> {
  const turnMs = paceOf(task.isQuick).rawMs / RAW_TURNS
  const probes: RawProbe[] = []
  try {
    for (const bytes of [task.eventBytes, 8 * KIB, 64 * KIB]) {
      for (const method of RAW_METHODS) probes.push(new RawProbe(context.dir, method, bytes))
    }
    for (const probe of Array.from({ length: RAW_TURNS }, () => probes).flat()) {
      context.tell(`${probe.method} of ${probe.bytes} B`)
      // So that the bar is drawn, and a signal heard.
      await new Promise(setImmediate)
      context.signal.throwIfAborted()
      probe.run(turnMs)
      context.advance(turnMs)
    }
    return probes.map((probe) => probe.result())
  } finally {
    for (const probe of probes) probe.close()
  }
}

function plansFor({ rate, eventBytes, isQuick }: TuneTask, syncMs: number): TrialPlan[] {
  const { trialMs, warmUpMs } = paceOf(isQuick)
  return settingsFor(syncMs, isQuick).flatMap((setting) =>
    LOADS.map(({ name, share }) => ({
      setting,
      load: name,
      rate: share === undefined ? undefined : rate * share,
      eventBytes,
      durationMs: trialMs,
      warmUpMs,
      syncMs,
    })),
  )
}

/** Syncs that are too fast to be true. */
export function rawWarnings(raw: readonly RawSync[]): string[] {
  const fastest = Math.min(...raw.map(({ ms }) => ms.p50))
  if (fastest >= TOO_FAST_MS) return []
  return [
    `a sync in ${formatMs(fastest)} is too fast for a disk that writes it down: unless this device's cache outlives a power cut (a battery, capacitors), 'durable' will not survive one here`,
  ]
}

function lateWarnings(missing: number): string[] {
  if (missing === 0) return []
  return [`${missing} trials were left out, since the disk took all the time there was`]
}

/** The trial's result, or a rejection when the disk hangs. */
async function answered<T>(trial: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const hung = new Promise<never>((_, reject) => {
    const error = new DiskHungError(`the disk did not answer for ${TRIAL_MS_MAX / 1_000} s`)
    timer = setTimeout(() => reject(error), TRIAL_MS_MAX)
  })
  try {
    return await Promise.race([trial, hung])
  } finally {
    clearTimeout(timer)
  }
}

export class DiskHungError extends Error {}
