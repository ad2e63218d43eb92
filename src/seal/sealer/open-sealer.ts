import { chmod, chown, mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf } from '../../base/describe'
import { functionOf, integer, valuesOf } from '../../base/option-checks'
import { RefusedFileError } from '../../follow/log-file'
import type { Signer } from '../note/signer'
import { SealError } from '../seal-error'
import { parseWitness, type Witness } from '../witness/witness-request'
import { FOLDER_MODE, makeFolder, syncFolder } from './durable-file'
import { Publisher } from './publisher'
import { SealFolder } from './seal-folder'
import { SealLock } from './seal-lock'
import { writeSealMetrics } from './seal-metrics'
import { type ResolvedPlace, resolvePlace, SEALER_NAMES, type SealerOptions } from './seal-options'
import { Sealer, type SealNote, type SealStats } from './sealer'

const INTERVAL_MS = 1_000
const INTERVAL_MS_MIN = 100
const INTERVAL_MS_MAX = 3_600_000
const GROUP_READS = 0o040
const SETGID = 0o2000

/** Another sealer holds the folder. */
export class SealHeldError extends Error {
  /** The class's name. */
  override readonly name = 'SealHeldError'
}

/** A sealer at work, from {@link openSealer}. */
export interface RunningSealer extends AsyncDisposable {
  /** Settles when it ends: rejects with the reason why it will not sign any more. */
  readonly ended: Promise<void>
  /** Counts, and how old the oldest unsealed line is. */
  stats(): SealStats
  /** Seals what has come, and ends. Idempotent. */
  close(): Promise<void>
}

/**
 * Seals a log: follows it over its rotations, and each interval signs the tree of its lines. It never writes to the
 * log. Best in another process, as another user: `x0x-exec-audit seal`. It keeps the process alive until it is
 * closed.
 *
 * @throws TypeError or RangeError for a mistake in the options; SealError if the seal and the log differ, or there is no seal yet: then it signs nothing; SealHeldError if another sealer runs; what the file system throws
 */
export async function openSealer(options: SealerOptions): Promise<RunningSealer> {
  const values = valuesOf('options', options, SEALER_NAMES)
  const intervalMs = integer(
    'options.intervalMs',
    values,
    INTERVAL_MS,
    INTERVAL_MS_MIN,
    INTERVAL_MS_MAX,
  )
  const onNote = noteHandler(options.onNote)
  const witnesses = (options.witnesses ?? []).map(parseWitness)
  const sealer = await open(resolvePlace(options), { onNote, witnesses })
  return new Loop(sealer, intervalMs, options.metricsFile, onNote)
}

/** The rest of what {@link sealOnce} needs. */
export interface OnceOptions {
  readonly onNote: (note: SealNote) => void
  readonly metricsFile?: string | undefined
  readonly witnesses?: readonly Witness[] | undefined
  readonly isLate?: boolean
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/** Seals what is there, has it witnessed, and ends. A witness that does not answer is a note, and no error. Throws if the last attempt failed, and as {@link openSealer} does. */
export async function sealOnce(place: ResolvedPlace, options: OnceOptions): Promise<SealStats> {
  const sealer = await open(place, options)
  try {
    while (await sealer.pass());
    await sealer.settleWitnesses()
    if (options.metricsFile !== undefined) {
      await writeSealMetrics(options.metricsFile, sealer.stats())
    }
    if (sealer.isFailing) throw new SealError('not all lines are sealed: see the note above')
    return sealer.stats()
  } finally {
    await sealer.close()
  }
}

/** Makes a seal's folder, and a checkpoint of no lines in it. Throws a SealError if there is one. */
export async function initSeal({ log, seal, lastFile, signer }: ResolvedPlace): Promise<void> {
  await makeSealFolder(seal, log)
  const folder = new SealFolder(seal)
  await folder.check()
  await Publisher.begin(folder, signer(), lastFile)
}

/** Makes a folder of mode 0750; if the log's group reads the log, it reads the seal, too. */
export async function makeSealFolder(seal: string, log: string): Promise<void> {
  await makeFolder(dirname(seal))
  try {
    await mkdir(seal, FOLDER_MODE)
  } catch (thrown) {
    if (codeOf(thrown) === 'EEXIST') return
    throw thrown
  }
  await syncFolder(dirname(seal))
  const stats = await stat(log).catch(() => undefined)
  if (stats === undefined || (stats.mode & GROUP_READS) === 0) return
  try {
    await chown(seal, process.geteuid?.() ?? stats.uid, stats.gid)
    await chmod(seal, FOLDER_MODE | SETGID)
  } catch (thrown) {
    // This user is not in the log's group: then that reads nothing.
    if (codeOf(thrown) !== 'EPERM') throw thrown
  }
}

async function open(place: ResolvedPlace, options: OnceOptions): Promise<Sealer> {
  const { log, seal, lastFile } = place
  const signer: Signer = place.signer()
  const folder = new SealFolder(seal)
  await folder.check()
  const lock = await SealLock.take(seal)
  if (lock === undefined) {
    throw new SealHeldError(`another sealer holds ${seal}; only one can seal a log`)
  }
  try {
    return await Sealer.open({ log, folder, signer, lastFile, lock, ...options })
  } catch (thrown) {
    await lock.release()
    if (!(thrown instanceof RefusedFileError)) throw thrown
    throw new SealError(`nothing is signed: ${thrown.message}`)
  }
}

function noteHandler(onNote: SealerOptions['onNote']): (note: SealNote) => void {
  if (onNote !== undefined) return (note) => void functionOf('options.onNote', onNote)(note)
  return ({ message }) => process.emitWarning(`seal: ${message}`, { type: 'ExecAuditWarning' })
}

class Loop implements RunningSealer {
  readonly ended: Promise<void>
  readonly #sealer: Sealer
  readonly #intervalMs: number
  readonly #metricsFile: string | undefined
  readonly #onNote: (note: SealNote) => void
  #isClosing = false
  #hasMetricsFailed = false
  #wake: () => void = () => undefined

  constructor(
    sealer: Sealer,
    intervalMs: number,
    metricsFile: string | undefined,
    onNote: (note: SealNote) => void,
  ) {
    this.#sealer = sealer
    this.#intervalMs = intervalMs
    this.#metricsFile = metricsFile
    this.#onNote = onNote
    this.ended = this.#run()
    // It may be asked for later.
    this.ended.catch(() => undefined)
  }

  stats(): SealStats {
    return this.#sealer.stats()
  }

  async close(): Promise<void> {
    this.#isClosing = true
    this.#wake()
    await this.ended.catch(() => undefined)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #run(): Promise<void> {
    try {
      for (let isLast = false; ; ) {
        const hasMore = await this.#sealer.pass()
        await this.#writeMetrics()
        if (isLast) return
        // What has come until it was closed is sealed, too.
        isLast = this.#isClosing && !hasMore
        if (!hasMore && !this.#isClosing) await this.#sleep()
        isLast ||= this.#isClosing && this.#sealer.isFailing
      }
    } finally {
      await this.#sealer.close()
    }
  }

  async #sleep(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      timer = setTimeout(resolve, this.#intervalMs)
    })
    clearTimeout(timer)
  }

  async #writeMetrics(): Promise<void> {
    if (this.#metricsFile === undefined) return
    try {
      await writeSealMetrics(this.#metricsFile, this.#sealer.stats())
      this.#hasMetricsFailed = false
    } catch (thrown) {
      const message = `cannot write ${this.#metricsFile}: ${thrown instanceof Error ? thrown.message : thrown}`
      if (!this.#hasMetricsFailed) this.#onNote({ kind: 'failed', message })
      this.#hasMetricsFailed = true
    }
  }
}
