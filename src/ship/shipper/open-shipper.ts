import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { codeOf, textOf } from '../../base/describe'
import { filePath, flag, functionOf, integer, refuse, valuesOf } from '../../base/option-checks'
import { openStream } from '../open-stream'
import type { StreamOptions } from '../stream/stream'
import type { ShipNote } from './line-source'
import { LogSource } from './log-source'
import { SealedSource } from './sealed-source'
import { ShipClock } from './ship-clock'
import type { ShipMeter, ShipStats } from './ship-meter'
import { writeShipMetrics } from './ship-metrics'
import { Shipper } from './shipper'

const METRICS_EACH_MS = 1_000
const SPARE_MS = 5_000
const SPARE_MS_MIN = 100
const SPARE_MS_MAX = 3_600_000
/** How long a shipper that is closed waits for what is in flight. */
const CLOSE_MS = 2_000

/** Which log goes where. */
export interface ShipperOptions extends StreamOptions {
  /** The log: a path. */
  log: string
  /** The server: `nats://HOST:4222` or `redis://HOST:6379`; `tls://`, `rediss://` for TLS. */
  to: string
  /** A file that keeps the place in the log, so that a start is fast: a path, not in the log's folder. */
  state?: string | undefined
  /** The seal's folder: then lines are shipped once they are sealed, with the indexes they have there, and its checkpoints go into the stream, too. */
  seal?: string | undefined
  /** The index of the first line that is shipped to a stream that is empty. */
  from?: number | undefined
  /** Whether lines that are gone are passed over, with a marker in the stream. Default false: then it stops. */
  acceptGap?: boolean | undefined
  /** How long the stream must be quiet before a shipper that has met another one takes over: ms, 100 to 3,600,000; default 5,000. */
  spareMs?: number | undefined
  /** A file for Prometheus' textfile collector, replaced at most each second: a path. */
  metricsFile?: string | undefined
  /** Called with what an operator has to know. Default: process warnings. */
  onNote?: ((note: ShipNote) => void) | undefined
}

const STREAM_NAMES = [
  ...['stream', 'subject', 'create', 'creds', 'timeoutMs', 'inFlight', 'client'],
] as const
const SHIP_NAMES = [
  'log',
  'to',
  'state',
  'seal',
  'from',
  'acceptGap',
  'spareMs',
  'metricsFile',
  'onNote',
]

/** A shipper at work, from {@link openShipper}. */
export interface RunningShipper extends AsyncDisposable {
  /** Settles when it ends: rejects with the reason why it does not ship any more. */
  readonly ended: Promise<void>
  /** Counts, and how far it is behind. */
  stats(): ShipStats
  /** Waits up to 2 s for what is in flight, and ends. Idempotent. */
  close(): Promise<void>
}

/** The rest of what a run needs. */
export interface ShipRun {
  readonly isOnce?: boolean
  /** Called as it ships, with the bytes of the log's text that were not read yet. */
  readonly onUnread?: ((bytes: number) => void) | undefined
}

/**
 * Ships a log into a stream: each line once, in order, over rotations, for any length of outage. The stream's own end
 * is the checkpoint. It never writes to the log. It keeps the process alive until it is closed.
 *
 * `ended` rejects with a ShipStoppedError if log and stream do not fit together or lines are gone, with a StreamError
 * if the server refuses.
 * @throws TypeError or RangeError for a mistake in the options; what the file system throws
 */
export async function openShipper(options: ShipperOptions): Promise<RunningShipper> {
  return await startShipper(options, {})
}

/** {@link openShipper} for a command. */
export async function startShipper(options: ShipperOptions, run: ShipRun): Promise<RunningShipper> {
  return new Run(await newShipper(options, run))
}

/** Ships what is there, and ends. Throws as `ended` of {@link openShipper} rejects, and a ShipUnreachableError if the server does not answer. */
export async function shipOnce(options: ShipperOptions, run: ShipRun = {}): Promise<ShipStats> {
  const { shipper, clock } = await newShipper(options, { ...run, isOnce: true })
  try {
    await shipper.run()
    return shipper.meter.stats()
  } finally {
    clock.close()
  }
}

/** How many lines are in the stream, and how many of the log are not. Throws as {@link shipOnce}. */
export async function shipStatus(
  options: ShipperOptions,
): Promise<{ readonly shipped: number; readonly behind: number }> {
  const { shipper, clock } = await newShipper(options, { isOnce: true })
  try {
    return await shipper.lag()
  } finally {
    clock.close()
  }
}

interface Parts {
  readonly shipper: Shipper
  readonly clock: ShipClock
}

async function newShipper(options: ShipperOptions, run: ShipRun): Promise<Parts> {
  const values = valuesOf('options', options, [...STREAM_NAMES, ...SHIP_NAMES])
  for (const name of ['log', 'to', 'stream']) {
    const value = values.get(name)
    if (typeof value !== 'string' || value === '') refuse(`options.${name}`, value, 'a text')
  }
  const log = resolve(options.log)
  await checkFolder(dirname(log))
  const spareMs = integer('options.spareMs', values, SPARE_MS, SPARE_MS_MIN, SPARE_MS_MAX)
  const from = integer('options.from', values, -1, 0, Number.MAX_SAFE_INTEGER)
  const acceptsGap = flag('options.acceptGap', values, false)
  const metricsFile = filePath('options.metricsFile', values)
  const onNote = noteHandler(options.onNote)
  const seal = filePath('options.seal', values)
  const writeMetrics = metricsFile === undefined ? undefined : metricsWriter(metricsFile, onNote)
  const clock = new ShipClock(seal ?? dirname(log))
  const streamOptions = Object.fromEntries(
    STREAM_NAMES.filter((name) => values.get(name) !== undefined).map((name) => [
      name,
      values.get(name),
    ]),
  )
  const shipper = new Shipper({
    ...{ clock, onNote, spareMs },
    openStream: () => openStream(options.to, { ...streamOptions, stream: options.stream }),
    openSource: async ({ maxBodyBytes }) => {
      const source = { log, maxBodyBytes, acceptsGap, onNote }
      return seal === undefined
        ? new LogSource(source)
        : await SealedSource.open({ ...source, seal })
    },
    streamName: options.stream,
    stateFile: filePath('options.state', values),
    from: from < 0 ? undefined : from,
    isOnce: run.isOnce === true,
    async onProgress(meter) {
      run.onUnread?.(meter.unreadBytes)
      await writeMetrics?.(meter)
    },
  })
  return { shipper, clock }
}

/** A log may not be there yet; its folder must. */
async function checkFolder(folder: string): Promise<void> {
  const stats = await stat(folder).catch((thrown: unknown) => {
    if (codeOf(thrown) === 'ENOENT') throw new RangeError(`log: the folder ${folder} is not there`)
    throw thrown
  })
  if (!stats.isDirectory()) throw new RangeError(`log: ${folder} is no folder`)
}

function metricsWriter(
  file: string,
  onNote: (note: ShipNote) => void,
): (meter: ShipMeter) => Promise<void> {
  let writtenMs = Number.NEGATIVE_INFINITY
  let hasFailed = false
  return async (meter) => {
    if (performance.now() - writtenMs < METRICS_EACH_MS) return
    writtenMs = performance.now()
    try {
      await writeShipMetrics(file, meter.stats())
      hasFailed = false
    } catch (thrown) {
      if (!hasFailed) onNote({ kind: 'failed', message: `cannot write ${file}: ${textOf(thrown)}` })
      hasFailed = true
    }
  }
}

function noteHandler(onNote: ShipperOptions['onNote']): (note: ShipNote) => void {
  if (onNote !== undefined) return (note) => void functionOf('options.onNote', onNote)(note)
  return ({ message }) => process.emitWarning(`ship: ${message}`, { type: 'ExecAuditWarning' })
}

class Run implements RunningShipper {
  readonly ended: Promise<void>
  readonly #shipper: Shipper
  readonly #clock: ShipClock

  constructor({ shipper, clock }: Parts) {
    this.#shipper = shipper
    this.#clock = clock
    this.ended = shipper.run().finally(() => clock.close())
    // It may be asked for later.
    this.ended.catch(() => undefined)
  }

  stats(): ShipStats {
    return this.#shipper.meter.stats()
  }

  async close(): Promise<void> {
    this.#shipper.stop()
    const timer = setTimeout(() => void this.#shipper.giveUp(), CLOSE_MS)
    await this.ended.catch(() => undefined)
    clearTimeout(timer)
    this.#clock.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
