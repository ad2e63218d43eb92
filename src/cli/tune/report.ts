import type { BarChart, Chart } from '../../toolkit/chart/chart'
import type { Disk, Machine } from '../../toolkit/disk/disk'
import type { RawSync } from '../../toolkit/disk/raw-sync'
import { percentileName, type Slo } from '../../toolkit/disk/slo'
import { formatBytes, formatCount } from '../../toolkit/text/numbers'
import { formatMs } from '../../toolkit/text/time'
import type { Verdict } from './choose'
import { LOADS, type LoadName, settingName } from './settings'
import { MOST_IN_FLIGHT, type Trial } from './trial'

/** All results of a run: `--json` prints them and `--save` keeps them. */
export interface TuneReport {
  readonly machine: Machine
  readonly disk: Disk
  readonly rate: number
  readonly eventBytes: number
  readonly slo: Slo
  readonly warnings: readonly string[]
  readonly raw: readonly RawSync[]
  readonly trials: readonly Trial[]
  /** Second trials of the defaults and of the setting that was better; empty if none was. */
  readonly again: readonly Trial[]
  readonly verdict: Verdict
  /** The constructor's call with the options to paste. */
  readonly options: string
}

/** The verdict in a word. */
export function verdictWord({ pass, disturbed }: Verdict): 'PASS' | 'FAIL' | 'UNCLEAR' {
  if (disturbed) return 'UNCLEAR'
  return pass ? 'PASS' : 'FAIL'
}

/** The question that the verdict answers. */
export function askedText({ slo, rate }: TuneReport): string {
  return `${percentileName(slo.percentile)} within ${formatMs(slo.ms)} at ${rate.toLocaleString('en-US')}/s`
}

export function machineLine({ cpu, cores, memoryGiB, kernel, node }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${kernel}, Node ${node}`
}

export function diskLine({ fileSystem, mountPoint, device, writeCache, freeBytes }: Disk): string {
  const free = `${formatBytes(freeBytes)} free`
  return `${fileSystem} on ${device} at ${mountPoint}, write cache: ${writeCache}, ${free}`
}

/** The cells of a table: a heading, and one row per trial. */
export interface Cells {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export function rawCells({ raw }: TuneReport): Cells {
  const methods = [...new Set(raw.map(({ method }) => method))]
  const sizes = [...new Set(raw.map(({ bytes }) => bytes))]
  const rows = sizes.map((bytes) => {
    const cells = methods.map((method) => {
      const found = raw.find((one) => one.bytes === bytes && one.method === method)
      return found === undefined ? '-' : `${formatMs(found.ms.p50)} / ${formatMs(found.ms.p99)}`
    })
    return [formatBytes(bytes), ...cells]
  })
  return { head: ['append, p50 / p99', ...methods], rows }
}

export function trialCells({ trials, again }: TuneReport): Cells {
  const head = [
    'setting',
    'load',
    'achieved/s',
    'events/sync',
    'syncs/s',
    'call µs',
    'ack p50',
    'p99',
    'p99.9',
    'max',
    'ring max',
    'loop p99',
  ]
  const rows = [...trials, ...again].map((trial, i) => [
    settingName(trial.setting),
    `${loadName(trial.load, trial.rate)}${i < trials.length ? '' : ', again'}`,
    `${formatCount(trial.achieved)}${trial.keepsUp ? '' : ' !'}`,
    formatCount(trial.eventsPerSync),
    formatCount(trial.syncsPerSecond),
    trial.callUs.toFixed(1),
    ...[trial.ackMs.p50, trial.ackMs.p99, trial.ackMs.p999, trial.ackMs.max].map(formatMs),
    formatBytes(trial.ringBytesMax),
    trial.loopDelayP99Ms === null ? '-' : formatMs(trial.loopDelayP99Ms),
  ])
  return { head, rows }
}

export const TABLE_NOTE = `Latencies count from the moment at which each event was meant to be sent. "most" keeps up to ${MOST_IN_FLIGHT.toLocaleString('en-US')} in flight. "!": it did not keep up.`

function loadName(load: LoadName, rate: number | null): string {
  return rate === null ? load : `${load}, ${formatCount(rate)}/s`
}

/** Percentiles of the chosen setting at each rate. */
export function percentileChart({ trials, verdict, slo }: TuneReport): Chart {
  const name = settingName(verdict.setting)
  const own = trials.filter(({ setting, rate }) => settingName(setting) === name && rate !== null)
  return {
    title: `Acknowledgement latency with ${name}`,
    x: { label: 'percentile', scale: 'nines' },
    y: { label: 'latency', scale: 'log', format: formatMs },
    series: own.map(({ load, rate, ackCurve }) => ({
      name: loadName(load, rate),
      points: ackCurve,
    })),
    mark: { name: `limit of ${percentileName(slo.percentile)}: ${formatMs(slo.ms)}`, y: slo.ms },
  }
}

/** The SLO's percentile against the rate, one line per setting. */
export function rateChart({ trials, slo }: TuneReport): Chart {
  const names = [...new Set(trials.map(({ setting }) => settingName(setting)))]
  const series = names.map((name) => ({
    name,
    points: trials.flatMap(({ setting, rate, ackMs }) =>
      rate !== null && settingName(setting) === name
        ? [[rate, ackMs[slo.percentile]] as const]
        : [],
    ),
  }))
  return {
    title: `${percentileName(slo.percentile)} against the rate`,
    x: { label: 'events per second', scale: 'log' },
    y: { label: 'latency', scale: 'log', format: formatMs },
    series,
    mark: { name: `limit: ${formatMs(slo.ms)}`, y: slo.ms },
  }
}

export function mostChart({ trials }: TuneReport): BarChart {
  const most = LOADS.find(({ share }) => share === undefined)?.name
  return {
    title: 'The most durable events per second',
    bars: trials
      .filter(({ load }) => load === most)
      .map(({ setting, achieved }) => ({ name: settingName(setting), value: achieved })),
    format: formatCount,
  }
}

export function rawChart({ raw }: TuneReport): BarChart {
  return {
    title: 'One append on disk, p50',
    bars: raw.map(({ method, bytes, ms }) => ({
      name: `${method}, ${formatBytes(bytes)}`,
      value: ms.p50,
    })),
    format: formatMs,
  }
}
