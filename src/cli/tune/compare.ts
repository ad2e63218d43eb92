import { readFileSync } from 'node:fs'
import type { Disk } from '../../toolkit/disk/disk'
import { parseJson } from '../../toolkit/text/json'
import { formatBytes, formatCount } from '../../toolkit/text/numbers'
import { formatMs } from '../../toolkit/text/time'
import { JSON_VERSION } from '../shared/json'
import { machineLine, type TuneReport } from './report'
import { settingName } from './settings'
import type { Trial } from './trial'

/** Smaller differences than this share are the noise of one short run. */
const NOISE = 0.25

/** Reads what `--save` has kept. Throws an Error that says what is wrong with it. */
export function readSaved(file: string): TuneReport {
  const saved = parseJson(readFileSync(file, 'utf8'))
  if (!isSaved(saved)) throw new Error(`${file} is no report of tune of version ${JSON_VERSION}`)
  return saved
}

function isSaved(value: unknown): value is TuneReport {
  if (typeof value !== 'object' || value === null) return false
  const parts = ['machine', 'disk', 'rate', 'eventBytes', 'raw', 'trials']
  const isTune = 'version' in value && 'command' in value && parts.every((part) => part in value)
  return isTune && value.version === JSON_VERSION && value.command === 'tune'
}

/** The figures that have moved by more than the noise, one per line. */
export function movedLines(before: TuneReport, now: TuneReport): string[] {
  const raw = now.raw.flatMap((one) => {
    const old = before.raw.find(({ method, bytes }) => method === one.method && bytes === one.bytes)
    const name = `${one.method} of ${formatBytes(one.bytes)}, p50`
    return old === undefined ? [] : moved(name, old.ms.p50, one.ms.p50, formatMs)
  })
  const trials = now.trials.flatMap((trial) => {
    const old = before.trials.find((one) => keyOf(one) === keyOf(trial))
    if (old === undefined) return []
    const name = `${settingName(trial.setting)}, ${trial.load}`
    return [
      ...moved(`${name}: achieved/s`, old.achieved, trial.achieved, formatCount),
      ...moved(`${name}: ack p50`, old.ackMs.p50, trial.ackMs.p50, formatMs),
      ...moved(`${name}: ack p99`, old.ackMs.p99, trial.ackMs.p99, formatMs),
    ]
  })
  return [...raw, ...trials]
}

function keyOf({ setting, load, rate }: Trial): string {
  return `${settingName(setting)} ${load} ${rate}`
}

function moved(
  name: string,
  old: number,
  now: number,
  format: (value: number) => string,
): string[] {
  const share = now / old - 1
  if (!(Math.abs(share) > NOISE)) return []
  const sign = share > 0 ? '+' : ''
  return [`${name}: ${format(old)} -> ${format(now)} (${sign}${Math.round(share * 100)} %)`]
}

/** The comparison as text. */
export function compareText(before: TuneReport, now: TuneReport, file: string): string {
  const lines = movedLines(before, now)
  const head =
    lines.length === 0
      ? `Nothing moved by more than ${NOISE * 100} % since ${file}.`
      : `Moved by more than ${NOISE * 100} % since ${file}:`
  return [...otherPlaces(before, now), head, ...lines.map((line) => `  ${line}`), ''].join('\n')
}

/** The differences between the two machines and disks, which is the first thing to know about the figures. */
function otherPlaces(before: TuneReport, now: TuneReport): string[] {
  const placeOf = ({ fileSystem, device, mountPoint }: Disk) =>
    `${fileSystem} on ${device} at ${mountPoint}`
  return [
    ...other('machine', machineLine(before.machine), machineLine(now.machine)),
    ...other('disk', placeOf(before.disk), placeOf(now.disk)),
  ]
}

function other(what: string, then: string, now: string): string[] {
  return then === now ? [] : [`Another ${what} was measured then: ${then}`]
}
