import { type Disk, describeMachine } from '../../toolkit/disk/disk'
import { RAW_METHODS, RawProbe, type RawSync, TOO_FAST_MS } from '../../toolkit/disk/raw-sync'
import type { Slo } from '../../toolkit/disk/slo'
import { formatMs } from '../../toolkit/text/time'
import { candidatesOf, disturbancesOf } from './candidate'
import { choose, favouriteOf, optionsBlock } from './choose'
import type { TuneReport } from './report'
import {
  COMPARED_LOADS,
  LOADS,
  type LoadName,
  type Setting,
  settingName,
  settingsFor,
} from './settings'
import { runTrial, type Trial } from './trial'

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
  /** A trial's load: at least so long, and at most if few events come in that time. */
  readonly trialMs: number
  readonly trialMsMax: number
  readonly warmUpMs: number
  /** When it is later than this, no further trial is begun: of all settings, or of two once more. */
  readonly deadlineMs: number
  readonly againDeadlineMs: number
}

const FULL: Pace = {
  rawMs: 300,
  trialMs: 1_000,
  trialMsMax: 2_500,
  warmUpMs: 150,
  deadlineMs: 45_000,
  againDeadlineMs: 55_000,
}
const QUICK: Pace = {
  rawMs: 80,
  trialMs: 300,
  trialMsMax: 600,
  warmUpMs: 60,
  deadlineMs: 10_000,
  againDeadlineMs: 14_000,
}
/** A trial of fewer events says little. */
const TRIAL_EVENTS_MIN = 10
/** Beside the load and its warm-up, a trial starts threads and ends them. */
const TRIAL_EXTRA_MS = 250
/** A disk that takes longer than this for one trial does not answer. */
const TRIAL_MS_MAX = 30_000

const KIB = 1_024
/** How often each raw way has its turn. */
const RAW_TURNS = 4

/** How long a run is planned to take, in milliseconds, if two settings are tried again. */
export function plannedMs(rate: number, isQuick: boolean): number {
  const { rawMs } = paceOf(isQuick)
  const settings = settingsFor(1, isQuick)
  const all = settings.flatMap(() => LOADS.map(({ name }) => name))
  const trialsMs = [...all, ...COMPARED_LOADS, ...COMPARED_LOADS].map((load) =>
    trialCostMs(durationMsOf(shareOf(load), rate, isQuick), isQuick),
  )
  return RAW_METHODS.length * 3 * rawMs + trialsMs.reduce((sum, ms) => sum + ms, 0)
}

function paceOf(isQuick: boolean): Pace {
  return isQuick ? QUICK : FULL
}

/** Measures the disk alone, then the writer on it, and chooses. */
export async function tune(task: TuneTask, context: TuneContext): Promise<TuneReport> {
  return await new Sweep(task, context).run()
}

/** One run. */
class Sweep {
  readonly #task: TuneTask
  readonly #context: TuneContext
  readonly #pace: Pace
  readonly #startMs = performance.now()
  #syncMs = 1

  constructor(task: TuneTask, context: TuneContext) {
    this.#task = task
    this.#context = context
    this.#pace = paceOf(task.isQuick)
  }

  async run(): Promise<TuneReport> {
    const { disk, rate, eventBytes, slo, isQuick } = this.#task
    const raw = await measureRaw(this.#task, this.#context)
    this.#syncMs = raw[0]?.ms.p50 ?? 1
    const settings = settingsFor(this.#syncMs, isQuick)
    const trials = await this.#tryAll(settings)
    const again = await this.#tryAgain(settings, favouriteOf(trials, slo))
    const verdict = choose(trials, again, slo)
    const missing = settings.length * LOADS.length - trials.length
    return {
      machine: describeMachine(),
      disk,
      rate,
      eventBytes,
      slo,
      warnings: [...rawWarnings(raw), ...lateWarnings(missing)],
      raw,
      trials,
      again,
      verdict,
      options: optionsBlock(verdict.setting),
    }
  }

  /** Every setting under every load, as long as there is time; the plainest one is always measured whole. */
  async #tryAll(settings: readonly Setting[]): Promise<Trial[]> {
    const trials: Trial[] = []
    for (const setting of settings) {
      const own: Trial[] = []
      for (const { name } of LOADS) {
        const isPlainest = trials.length === 0
        if (!isPlainest && this.#isLaterThan(this.#pace.deadlineMs)) break
        own.push(await this.#try(setting, name))
      }
      trials.push(...(await this.#repeatDisturbed(own)))
    }
    return trials
  }

  /** The plainest setting and the favourite once more, in turns; nothing if there is no time for all. */
  async #tryAgain(
    [plainest]: readonly Setting[],
    favourite: Setting | undefined,
  ): Promise<readonly Trial[]> {
    if (plainest === undefined || favourite === undefined) return []
    const trials: Trial[] = []
    for (const load of COMPARED_LOADS) {
      for (const setting of [plainest, favourite]) {
        if (this.#isLaterThan(this.#pace.againDeadlineMs)) return []
        trials.push(await this.#try(setting, load))
      }
    }
    return trials.toSorted(
      (a, b) => Number(a.setting !== plainest) - Number(b.setting !== plainest),
    )
  }

  /** One setting's trials; those that something else than the load has slowed are tried once more. */
  async #repeatDisturbed(own: readonly Trial[]): Promise<readonly Trial[]> {
    const slow = candidatesOf(own)
      .flatMap((candidate) => disturbancesOf(candidate, this.#task.slo))
      .map((disturbance) => disturbance.slow)
    const trials: Trial[] = []
    for (const trial of own) {
      const isRepeated = slow.includes(trial) && !this.#isLaterThan(this.#pace.deadlineMs)
      trials.push(isRepeated ? await this.#try(trial.setting, trial.load) : trial)
    }
    return trials
  }

  async #try(setting: Setting, load: LoadName): Promise<Trial> {
    const { dir, signal } = this.#context
    const { rate, eventBytes, isQuick } = this.#task
    const share = shareOf(load)
    const durationMs = durationMsOf(share, rate, isQuick)
    this.#context.tell(`${settingName(setting)}, ${load}`)
    const plan = {
      setting,
      load,
      rate: share === undefined ? undefined : rate * share,
      eventBytes,
      durationMs,
      warmUpMs: this.#pace.warmUpMs,
      syncMs: this.#syncMs,
    }
    const trial = await answered(runTrial(plan, dir, signal))
    this.#context.advance(trialCostMs(durationMs, isQuick))
    return trial
  }

  #isLaterThan(ms: number): boolean {
    return performance.now() - this.#startMs > ms
  }
}

function shareOf(load: LoadName): number | undefined {
  return LOADS.find(({ name }) => name === load)?.share
}

/** A low rate is measured as it is, pauses included, so it takes longer for enough events to come. */
function durationMsOf(share: number | undefined, rate: number, isQuick: boolean): number {
  const { trialMs, trialMsMax } = paceOf(isQuick)
  if (share === undefined) return trialMs
  const enoughMs = (TRIAL_EVENTS_MIN * 1_000) / (rate * share)
  return Math.min(trialMsMax, Math.max(trialMs, enoughMs))
}

function trialCostMs(durationMs: number, isQuick: boolean): number {
  return durationMs + paceOf(isQuick).warmUpMs + TRIAL_EXTRA_MS
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
  return [`${missing} trials were left out, since no time was left`]
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
