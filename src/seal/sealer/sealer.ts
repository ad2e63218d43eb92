import { stat } from 'node:fs/promises'
import { type LogFile, RefusedFileError } from '../../follow/log-file'
import { type FollowNote, LogFollower } from '../../follow/log-follower'
import type { Signer } from '../note/signer'
import { SealError } from '../seal-error'
import { CHECKPOINT_FILE, WITNESSED_FILE } from '../seal-files'
import { leafOf } from '../tree/hashes'
import { nodesFrom } from '../tree/tiles'
import { WitnessClient } from '../witness/witness-client'
import type { Witness } from '../witness/witness-request'
import { FailedSync } from './failed-sync'
import { KnownFiles } from './known-files'
import { LineHasher } from './line-hasher'
import { behindOldSeal, oldFolderOf } from './old-seal'
import { Publisher } from './publisher'
import { rangesOf, resume } from './resume'
import type { SealFolder } from './seal-folder'
import type { SealLock } from './seal-lock'
import type { Segment } from './segments'

/** Lines and bytes that one checkpoint takes in at most: more are there when a sealer has not run for long. */
const PASS_LINES_MAX = 65_536
const PASS_BYTES_MAX = 64 * 2 ** 20
/** A start reads the last range again. */
const RANGE_BYTES_MAX = 64 * 2 ** 20

/** Something that an operator has to know. */
export interface SealNote {
  /** `failed`: nothing was sealed, and it is tried again; `gone`: a file that was not sealed to its end is gone; `witness`: a witness does not cosign. */
  readonly kind: FollowNote['kind'] | 'failed' | 'gone' | 'witness'
  /** One sentence for an operator, which names the file. */
  readonly message: string
}

/** Counts since the sealer was opened, and where it stands. */
export interface SealStats {
  /** Lines in the tree. */
  readonly size: number
  /** Lines sealed since the start. */
  readonly sealedLines: number
  /** Checkpoints signed since the start. */
  readonly checkpoints: number
  /** Attempts that failed, and files that were refused or lost, since the start. */
  readonly failures: number
  /** How long the oldest unsealed line may have been there: seconds; 0 if there is none. */
  readonly oldestUnsealedSeconds: number
}

export interface SealerParts {
  /** Absolute. */
  readonly log: string
  readonly folder: SealFolder
  readonly signer: Signer
  readonly lastFile: string
  readonly lock: SealLock
  readonly witnesses?: readonly Witness[] | undefined
  /** Whether what is there already is listed as sealed late. */
  readonly isLate?: boolean
  readonly onNote: (note: SealNote) => void
  /** Called with the bytes of the log that were read. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/** A part of a file that a pass has read. */
interface ReadPart {
  readonly file: LogFile
  readonly from: number
  readonly to: number
  /** Index in the pass's entries. */
  readonly first: number
}

/** Seals a log: follows it, and signs what has come, pass by pass. */
export class Sealer {
  readonly #parts: SealerParts
  readonly #publisher: Publisher
  readonly #follower: LogFollower
  readonly #failedSync: FailedSync
  readonly #hasher = new LineHasher()
  readonly #known: KnownFiles
  /**
   * The range that the last line belongs to, and where its text ends. Undefined after a start and a failure: then
   * segments may be written whose lines were never signed, and a new range replaces them.
   */
  #range: { file: LogFile; from: number; to: number } | undefined
  readonly #witnesses: WitnessClient
  /** Up to when all lines are known to be sealed, by a clock that is never set. */
  #sealedUntilMs = performance.now()
  #mayHaveUnsealed = true
  #lastFailure: string | undefined
  #sealedLines = 0
  #checkpoints = 0
  #failures = 0

  private constructor(
    parts: SealerParts,
    publisher: Publisher,
    follower: LogFollower,
    known: KnownFiles,
    kept: Buffer | undefined,
    failedSync: FailedSync,
  ) {
    this.#parts = parts
    this.#publisher = publisher
    this.#follower = follower
    this.#known = known
    this.#failedSync = failedSync
    const { folder, witnesses = [] } = parts
    this.#witnesses = new WitnessClient({
      ...{ witnesses, kept },
      nodes: (size) => nodesFrom(folder.readTile, size),
      onWitnessed: (note) => this.#keepWitnessed(note),
      onProblem: ({ witness, message }) =>
        this.#note({ kind: 'witness', message: `${witness}: ${message}` }),
    })
  }

  /**
   * Checks the seal against its tiles and the log, and finds where it goes on.
   * @throws SealError if they differ, or the seal is not there
   */
  static async open(parts: SealerParts): Promise<Sealer> {
    const { folder, signer, lastFile, log } = parts
    const publisher = await Publisher.open(folder, signer, lastFile)
    const segments = await folder.segments(publisher.size)
    const known = knownOf(folder, publisher.size, segments)
    const uid = segments[0]?.uid
    const follower = new LogFollower({
      path: log,
      owner: uid === undefined ? undefined : BigInt(uid),
      onNote: (note) => sealer.#note(note),
      isKnown: (file) => known.has(file),
    })
    const kept = await folder.read(WITNESSED_FILE)
    const failedSync = await FailedSync.load(folder)
    const sealer = new Sealer(parts, publisher, follower, known, kept, failedSync)
    try {
      await sealer.#resume(segments)
      sealer.#offer()
    } catch (thrown) {
      await follower.close()
      throw thrown
    }
    return sealer
  }

  /** Seals what has come, up to a limit. Resolves with whether there is more. Throws a SealError if it must end. */
  async pass(): Promise<boolean> {
    try {
      const hasMore = await this.#sealNew()
      this.#lastFailure = undefined
      return hasMore
    } catch (thrown) {
      if (thrown instanceof SealError) throw thrown
      const message = thrown instanceof Error ? thrown.message : String(thrown)
      this.#mayHaveUnsealed = true
      this.#failures++
      // It is tried each second.
      if (message !== this.#lastFailure) this.#parts.onNote({ kind: 'failed', message })
      this.#lastFailure = message
      return false
    }
  }

  stats(): SealStats {
    const unsealedMs = this.#mayHaveUnsealed ? performance.now() - this.#sealedUntilMs : 0
    return {
      size: this.#publisher.size,
      sealedLines: this.#sealedLines,
      checkpoints: this.#checkpoints,
      failures: this.#failures,
      oldestUnsealedSeconds: unsealedMs / 1_000,
    }
  }

  /** Whether the last pass failed. */
  get isFailing(): boolean {
    return this.#lastFailure !== undefined
  }

  /** Waits until each witness has cosigned what is sealed, or has had its time. */
  settleWitnesses(): Promise<void> {
    return this.#witnesses.settle()
  }

  async close(): Promise<void> {
    await this.#witnesses.close()
    await this.#follower.close()
    await this.#parts.lock.release()
  }

  #note(note: SealNote): void {
    this.#failures++
    this.#parts.onNote(note)
  }

  async #resume(segments: readonly Segment[]): Promise<void> {
    const { folder } = this.#parts
    const { size } = this.#publisher
    const follower = this.#follower
    const { boot } = this.#failedSync
    const onNote = (message: string) => this.#note({ kind: 'gone', message })
    const old = segments.length === 0 ? await oldFolderOf(folder) : undefined
    const files =
      old === undefined
        ? await resume({ follower, folder, size, boot, ranges: rangesOf(segments, size), onNote })
        : await behindOldSeal(follower, old)
    follower.adopt(files)
    await follower.checkLive()
    // What is found first may be as old as the last checkpoint. The clock may have been set back since.
    const { mtimeMs } = await stat(folder.file(CHECKPOINT_FILE))
    this.#sealedUntilMs = performance.now() - Math.max(0, Date.now() - mtimeMs)
  }

  async #sealNew(): Promise<boolean> {
    const { lock, folder } = this.#parts
    if (!(await lock.isHeld())) {
      throw new SealError(`another sealer has taken ${folder.path}; let only one run`)
    }
    await this.#publisher.flush()
    const lookedMs = performance.now()
    const files = await this.#follower.look()
    const { parts, hasMore } = await this.#read(files)
    this.#mayHaveUnsealed ||= parts.length > 0
    if (parts.length > 0) await this.#sign(parts)
    if (!hasMore) {
      this.#sealedUntilMs = lookedMs
      this.#mayHaveUnsealed = false
    }
    return hasMore
  }

  /** Reads whole lines that have come, into the hasher. */
  async #read(files: readonly LogFile[]): Promise<{ parts: ReadPart[]; hasMore: boolean }> {
    const hasher = this.#hasher
    hasher.clear()
    const parts: ReadPart[] = []
    let bytes = 0
    const isFull = () =>
      hasher.count >= PASS_LINES_MAX || (bytes >= PASS_BYTES_MAX && hasher.count > 0)
    for (const file of files) {
      const first = hasher.count
      try {
        for await (const chunk of file.chunks()) {
          hasher.push(chunk)
          bytes += chunk.length
          this.#parts.onBytes?.(chunk.length)
          if (isFull()) break
        }
      } catch (thrown) {
        if (!(thrown instanceof RefusedFileError)) throw thrown
        hasher.clear(first)
        await this.#follower.refuse(file, thrown)
        continue
      }
      hasher.cut()
      if (hasher.count > first) {
        parts.push({ file, from: file.position, to: file.readPosition, first })
      }
      if (isFull()) return { parts, hasMore: true }
    }
    return { parts, hasMore: false }
  }

  async #sign(parts: readonly ReadPart[]): Promise<void> {
    const { count } = this.#hasher
    const segments = this.#newSegments(parts)
    try {
      // Nothing is signed that a power cut could take.
      for (const { file, from, to } of parts) await this.#failedSync.sync(file, from, to)
      await this.#publisher.sign(this.#hasher.entries, segments)
    } catch (thrown) {
      for (const { file } of parts) file.giveUp()
      this.#range = undefined
      throw thrown
    }
    parts.forEach((part, i) => {
      this.#keep(part)
      this.#known.add(part.file, part.from, this.#leaves(part.first, parts[i + 1]?.first ?? count))
    })
    this.#sealedLines += count
    this.#checkpoints++
    await this.#publisher.flush()
    this.#offer()
  }

  *#leaves(first: number, end: number): Generator<Buffer, void> {
    for (let i = first; i < end; i++) yield leafOf(this.#hasher.entryAt(i))
  }

  #offer(): void {
    if (this.#publisher.size > 0) this.#witnesses.offer(this.#publisher.written.toString())
  }

  /** What cannot be kept is cosigned again later: no reason to end. */
  async #keepWitnessed(note: Buffer): Promise<void> {
    try {
      await this.#parts.folder.replace(WITNESSED_FILE, note)
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown)
      this.#note({ kind: 'witness', message: `cannot keep ${WITNESSED_FILE}: ${why}` })
    }
  }

  #keep({ file, from, to }: ReadPart): void {
    file.keep()
    if (this.#goesOn(file, from)) this.#range = { file, from: this.#range?.from ?? from, to }
    else this.#range = { file, from, to }
  }

  /** Whether text continues the last range, which is not too long yet. */
  #goesOn(file: LogFile, from: number): boolean {
    const range = this.#range
    if (range?.file !== file || range.to !== from) return false
    return range.to - range.from < RANGE_BYTES_MAX
  }

  #newSegments(parts: readonly ReadPart[]): Segment[] {
    const { size } = this.#publisher
    const { boot } = this.#failedSync
    const begun = parts.filter(({ file, from }, i) => i > 0 || !this.#goesOn(file, from))
    return begun.map(({ file, from, first }) => {
      const sha256 = this.#hasher.entryAt(first).toString('hex')
      return {
        first: size + first,
        sha256,
        device: String(file.device),
        inode: String(file.inode),
        offset: from,
        uid: Number(file.owner),
        opened: file.openedMs,
        ...(boot === '' ? {} : { uptime: file.openedUptimeMs, boot }),
        file: file.name,
        ...(this.#parts.isLate === true ? { late: true as const } : {}),
      }
    })
  }
}

/** The files of which lines were sealed before a start. */
function knownOf(folder: SealFolder, size: number, segments: readonly Segment[]): KnownFiles {
  const known = new KnownFiles()
  const leafAt = folder.leavesOf(size)
  for (const { device, inode, offset, sha256, first, end } of rangesOf(segments, size)) {
    // No tile is read for a file that begins with a line of its own.
    const leaves = function* () {
      yield leafOf(Buffer.from(sha256, 'hex'))
      for (let index = first + 1; index < end; index++) yield leafAt(index)
    }
    known.add({ device: BigInt(device), inode: BigInt(inode) }, offset, leaves())
  }
  return known
}
