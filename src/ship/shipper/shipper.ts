import { textOf } from '../../base/describe'
import { gapMarker, oversizeMarker } from '../stream/markers'
import type { Message } from '../stream/message'
import type { Stream, Tail } from '../stream/stream'
import { StreamError } from '../stream/stream-error'
import { Backoff } from './backoff'
import { sha256Of } from './line-cutter'
import type { LineBatch, LineSource, ShipNote } from './line-source'
import { type Place, readState, type ShipState, writeState } from './place'
import type { ShipClock } from './ship-clock'
import { ShipStoppedError } from './ship-error'
import { ShipMeter } from './ship-meter'

/** The server has not answered, and nobody waits until it does. */
export class ShipUnreachableError extends Error {
  /** The class's name. */
  override readonly name = 'ShipUnreachableError'
}

/** Attempts at a server that does not answer, for a run that ends. */
const ONCE_ATTEMPTS = 3
const STATE_EACH_MS = 1_000
/** How long, and how often meanwhile, the status waits for lines that are on their way. */
const STATUS_MS = 1_000
const STATUS_LOOKS = 5
/** How often a spare looks at the stream. */
const SPARE_LOOKS = 5

export interface ShipperParts {
  readonly openStream: () => Promise<Stream>
  readonly openSource: (stream: Stream) => Promise<LineSource>
  /** The stream's name, for the state. */
  readonly streamName: string
  readonly stateFile: string | undefined
  readonly from: number | undefined
  /** Ends once all that is there is shipped, or the server does not answer. */
  readonly isOnce: boolean
  /** How long the stream must be quiet before a spare takes over. */
  readonly spareMs: number
  readonly clock: ShipClock
  readonly onNote: (note: ShipNote) => void
  /** Called with the meter as often as there is news. */
  readonly onProgress: (meter: ShipMeter) => Promise<void>
}

/** A batch as messages. */
interface Outgoing {
  readonly messages: readonly Message[]
  readonly batch: LineBatch
}

/** Another shipper has appended. */
class FencedError extends Error {}

/**
 * Ships a log into a stream: reads a batch while the one before is on its way. The stream's own end is the
 * checkpoint: each message is appended only behind the one before it, so what is read again after a fault can neither
 * double nor skip a line.
 */
export class Shipper {
  readonly meter = new ShipMeter()
  readonly #parts: ShipperParts
  readonly #backoff = new Backoff()
  #stream: Stream | undefined
  #source: LineSource | undefined
  /** The stream's end. */
  #position = ''
  /** The SHA-256 of the last message that is read, for the next one. */
  #prev: Buffer | undefined
  /** That of the last one that is stored. */
  #stored: Buffer | undefined
  #state: ShipState | undefined
  #writtenMs = Number.NEGATIVE_INFINITY
  #downSinceMs: number | undefined
  #isClosing = false

  constructor(parts: ShipperParts) {
    this.#parts = parts
  }

  /** Ships until it is closed; if it runs once, until all is shipped. Throws if it must stop. */
  async run(): Promise<void> {
    this.#state = await this.#loadState()
    let from = this.#parts.from
    try {
      const stream = await this.#open()
      while (!this.#isClosing) {
        await this.#resume(stream, from)
        from = undefined
        if (await this.#shipUntilFenced(stream)) return
        await this.#waitAsSpare(stream)
      }
    } catch (thrown) {
      if (thrown instanceof ClosedError) return
      throw stopped(thrown)
    } finally {
      await this.#writeState().catch(() => undefined)
      await this.#source?.close()
      await this.#stream?.close()
    }
  }

  /**
   * Counts the lines that are there and not in the stream. On a busy log some always are: those that another shipper
   * appends within a second do not count.
   */
  async lag(): Promise<{ readonly shipped: number; readonly behind: number }> {
    this.#state = await this.#loadState()
    try {
      const stream = await this.#open()
      const source = await this.#resume(stream, this.#parts.from)
      let behind = 0
      for (let hasMore = true; hasMore; ) {
        const batch = await source.read()
        behind += batch.lines.length
        hasMore = batch.hasMore
      }
      const end = this.meter.index + behind
      for (let looks = 0; behind > 0 && looks < STATUS_LOOKS; looks++) {
        await this.#parts.clock.sleep(STATUS_MS / STATUS_LOOKS)
        const { message } = await stream.tail()
        if (message !== undefined) behind = Math.max(0, end - message.index - 1)
      }
      return { shipped: end - behind, behind }
    } catch (thrown) {
      throw stopped(thrown)
    } finally {
      await this.#source?.close()
      await this.#stream?.close()
    }
  }

  /** Ends it once what is in flight is stored. */
  stop(): void {
    this.#isClosing = true
    this.#parts.clock.wake()
  }

  /** Ends it now; what is in flight may be stored. */
  async giveUp(): Promise<void> {
    this.stop()
    // An append that nobody answers ends with its connection.
    await this.#stream?.close()
  }

  #open(): Promise<Stream> {
    return this.#retried(async () => {
      // It is closed at the end, also if that came meanwhile.
      this.#stream = await this.#parts.openStream()
      return this.#stream
    })
  }

  async #resume(stream: Stream, from: number | undefined): Promise<LineSource> {
    const tail = await this.#retried(() => stream.tail())
    await this.#source?.close()
    const source = await this.#parts.openSource(stream)
    this.#source = source
    const { message: last } = tail
    if (last !== undefined && last.origin !== source.origin) {
      throw new ShipStoppedError(
        `${stream.name} has lines of the origin ${last.origin}, and these are of ${source.origin}; ship each log, sealed or not, into a stream of its own`,
      )
    }
    const start = from ?? this.#startOf(tail, stream)
    if (last !== undefined && start !== undefined && start !== last.index + 1) {
      throw new ShipStoppedError(
        `${stream.name} ends with the line ${last.index}, so it goes on with ${last.index + 1}, and not with ${start}; --from is for a stream that is empty`,
      )
    }
    const isEmpty = last === undefined
    await source.resume({
      last,
      from: isEmpty ? start : undefined,
      isGapDue: isEmpty && from === undefined && isGapDue(this.#state),
      hasCheckpoint: last !== undefined && last.position !== tail.position,
      place: this.#state,
      read: (position) => stream.read(position === undefined ? {} : { position }),
    })
    const state = this.#state
    if (state !== undefined && last !== undefined && state.stored > last.index + 1) {
      const [first, end] = [last.index + 1, state.stored - 1]
      const message = `${stream.name} had acknowledged the lines ${first} to ${end}, and has lost them; they are shipped again`
      this.#parts.onNote({ kind: 'again', message })
    }
    this.#position = tail.position
    this.#prev = last?.sha256 ?? this.#prevOfState(start)
    this.#stored = this.#prev
    this.meter.startAt(last === undefined ? (start ?? 0) : last.index + 1)
    return source
  }

  async #loadState(): Promise<ShipState | undefined> {
    const { stateFile, streamName } = this.#parts
    const state = stateFile === undefined ? undefined : await readState(stateFile)
    if (state === undefined || state.stream === streamName) return state
    throw new RangeError(
      `state: ${stateFile} is that of the stream ${state.stream}; name another file for ${streamName}`,
    )
  }

  #prevOfState(start: number | undefined): Buffer | undefined {
    const state = this.#state
    if (state === undefined || state.index !== start || state.sha256 === '') return undefined
    return Buffer.from(state.sha256, 'hex')
  }

  /** The index of the next line of a stream without lines. Throws a ShipStoppedError if that cannot be known. */
  #startOf({ message, wasUsed, position }: Tail, { name }: Stream): number | undefined {
    const state = this.#state
    if (message !== undefined) return undefined
    if (state !== undefined && state.position === position) {
      return isGapDue(state) ? state.stored : state.index
    }
    const kept =
      state === undefined
        ? 'no state of an earlier run is there'
        : `the state has shipped the lines up to ${state.index - 1}, to ${state.position}`
    const how =
      state === undefined
        ? '--from INDEX ships the line with that index first'
        : `--from ${state.index} goes on, --from 0 ships all lines that are there`
    if (wasUsed) {
      throw new ShipStoppedError(
        `${name} is empty, and has been used up to ${position}; ${kept}, so the next line is not known: ${how}`,
      )
    }
    if (state === undefined) return 0
    throw new ShipStoppedError(`${name} is new and empty, but ${kept}: ${how}`)
  }

  /** True if it has ended; false if another shipper appends. */
  async #shipUntilFenced(stream: Stream): Promise<boolean> {
    let ahead = this.#read()
    try {
      for (;;) {
        const outgoing = await ahead
        const { messages, batch } = outgoing
        if (messages.length > 0) {
          ahead = batch.hasMore && !this.#isClosing ? this.#read() : Promise.resolve(outgoing)
          ahead.catch(() => undefined)
          await this.#append(stream, outgoing)
          await this.#afterBatch(batch.place)
          if (this.#isClosing) return true
          if (!batch.hasMore) ahead = this.#read()
          continue
        }
        await this.#afterBatch(batch.place)
        if (this.#isClosing || (this.#parts.isOnce && !batch.hasMore)) return true
        if (!batch.hasMore) await this.#parts.clock.untilNews()
        if (this.#isClosing) return true
        ahead = this.#read()
      }
    } catch (thrown) {
      if (thrown instanceof FencedError) return false
      throw thrown
    } finally {
      await ahead.catch(() => undefined)
    }
  }

  async #read(): Promise<Outgoing> {
    const source = this.#source
    if (source === undefined) throw new Error('it has no source')
    const batch = await source.read()
    const messages: Message[] = []
    const add = (message: Omit<Message, 'origin' | 'prev'>) => {
      messages.push({ ...message, origin: source.origin, prev: this.#prev })
      if (message.kind !== 'checkpoint') this.#prev = message.sha256
    }
    if (batch.gap !== undefined) {
      const { from, to, reason } = batch.gap
      const body = gapMarker(from, to, reason)
      add({ kind: 'gap', index: to, sha256: sha256Of(body), body })
      this.#parts.onNote({ kind: 'gap', message: `a gap at index ${to}: ${reason}` })
    }
    for (const [i, { body, bytes, sha256 }] of batch.lines.entries()) {
      const index = batch.first + i
      if (body !== undefined) add({ kind: 'line', index, sha256, body })
      else {
        add({ kind: 'oversize', index, sha256, body: oversizeMarker(index, bytes, sha256) })
        const message = `the line ${index} has ${bytes} bytes, which is more than the server takes, so a marker with its SHA-256 stands for it; raise the server's limit, or lower maxEventBytes`
        this.#parts.onNote({ kind: 'oversize', message })
      }
    }
    for (const aside of (await source.asides?.()) ?? []) {
      messages.push({ ...aside, prev: this.#prev })
    }
    this.meter.addRead(messages)
    return { messages, batch }
  }

  async #append(stream: Stream, { messages, batch }: Outgoing): Promise<void> {
    // Behind a gap only the state knows the place.
    if (batch.gap !== undefined) await this.#keepState(batch.place, messages.at(-1)?.sha256, true)
    let rest = messages
    let wasCut = false
    for (;;) {
      try {
        this.#position = await stream.append(rest, this.#position)
        this.#stored = lastLine(rest)?.sha256 ?? this.#stored
        this.meter.addStored(rest)
        this.#isBack()
        return
      } catch (thrown) {
        const error = this.#takeFailure(thrown)
        if (error.kind !== 'fenced') await this.#waitAfter(error)
        // That it answers does not mean that it stores.
        const tail = await this.#retried(() => stream.tail(), false)
        const stored = this.#storedOf(rest, tail)
        const isOwn = stored !== undefined && (error.kind !== 'fenced' || wasCut)
        if (!isOwn) throw new FencedError()
        // It goes on, if only piece by piece.
        if (stored > 0) this.#backoff.reset()
        wasCut = error.kind === 'unreachable'
        this.#stored = lastLine(rest.slice(0, stored))?.sha256 ?? this.#stored
        this.#position = tail.position
        this.meter.addStored(rest.slice(0, stored))
        rest = rest.slice(stored)
        if (rest.length === 0) return this.#isBack()
      }
    }
  }

  /** How many of the messages are stored; undefined if the stream ends with another one. */
  #storedOf(rest: readonly Message[], { message, position }: Tail): number | undefined {
    if (position === this.#position) return 0
    if (message === undefined) return undefined
    const { index, sha256, origin } = message
    const at = rest.findLastIndex(
      (each) => each.kind !== 'checkpoint' && each.index === index && each.sha256.equals(sha256),
    )
    if (at >= 0 && rest[at]?.origin === origin) return at + 1
    return this.#stored?.equals(sha256) === true ? 0 : undefined
  }

  async #waitAsSpare(stream: Stream): Promise<void> {
    const { clock, spareMs, onNote } = this.#parts
    const message = `another shipper appends to ${stream.name}; waiting until it has been quiet for ${spareMs / 1_000} s`
    onNote({ kind: 'waiting', message })
    let { position } = await this.#retried(() => stream.tail())
    for (let looks = 0; looks < SPARE_LOOKS && !this.#isClosing; looks++) {
      await clock.sleep(spareMs / SPARE_LOOKS)
      if (this.#isClosing) return
      const tail = await this.#retried(() => stream.tail())
      if (tail.position !== position) looks = -1
      position = tail.position
    }
  }

  /** Tries an action until the server answers. @param isBack whether an answer ends the outage */
  async #retried<Result>(action: () => Promise<Result>, isBack = true): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await action()
        if (this.#isClosing) throw new ClosedError()
        if (isBack) this.#isBack()
        return result
      } catch (thrown) {
        const error = this.#takeFailure(thrown)
        if (error.kind === 'fenced') throw error
        if (this.#parts.isOnce && attempt >= ONCE_ATTEMPTS) {
          throw new ShipUnreachableError(error.message)
        }
        await this.#waitAfter(error)
      }
    }
  }

  /** A failure that passes; throws all others. */
  #takeFailure(thrown: unknown): StreamError {
    if (this.#isClosing) throw new ClosedError()
    const isPassing =
      thrown instanceof StreamError && ['unreachable', 'full', 'fenced'].includes(thrown.kind)
    if (!isPassing) throw thrown
    if (thrown.kind === 'full' && this.#parts.isOnce) throw thrown
    return thrown
  }

  async #waitAfter({ message }: StreamError): Promise<void> {
    this.meter.addFailure()
    if (this.#downSinceMs === undefined) {
      this.#downSinceMs = performance.now()
      this.#parts.onNote({ kind: 'outage', message })
    }
    await this.#tellProgress()
    await this.#parts.clock.sleep(this.#backoff.next())
    if (this.#isClosing) throw new ClosedError()
  }

  #isBack(): void {
    this.#backoff.reset()
    if (this.#downSinceMs === undefined) return
    const seconds = Math.round((performance.now() - this.#downSinceMs) / 1_000)
    this.#downSinceMs = undefined
    this.#parts.onNote({ kind: 'back', message: `the server answers again, after ${seconds} s` })
  }

  async #afterBatch(place: Place): Promise<void> {
    await this.#keepState(place, this.#stored, false)
    await this.#tellProgress()
  }

  async #tellProgress(): Promise<void> {
    this.meter.unread = (await this.#source?.unread()) ?? this.meter.unread
    await this.#parts.onProgress(this.meter)
  }

  /** @param isNow whether it must be on its way to the disk before what follows */
  async #keepState(place: Place, last: Buffer | undefined, isNow: boolean): Promise<void> {
    const { streamName: stream } = this.#parts
    const origin = this.#source?.origin ?? ''
    const sha256 = last?.toString('hex') ?? ''
    const { index: stored } = this.meter
    this.#state = { ...place, stream, origin, sha256, position: this.#position, stored }
    if (!isNow && performance.now() - this.#writtenMs < STATE_EACH_MS) return
    this.#writtenMs = performance.now()
    try {
      await this.#writeState()
    } catch (thrown) {
      const message = `cannot write the state: ${textOf(thrown)}`
      this.#parts.onNote({ kind: 'failed', message })
    }
  }

  async #writeState(): Promise<void> {
    const { stateFile } = this.#parts
    if (stateFile !== undefined && this.#state !== undefined) {
      await writeState(stateFile, this.#state)
    }
  }
}

/** Whether the run that wrote the state had a gap's record on its way. */
function isGapDue(state: ShipState | undefined): boolean {
  return state !== undefined && state.stored < state.index
}

/** It was closed while it waited. */
class ClosedError extends Error {}

function lastLine(messages: readonly Message[]): Message | undefined {
  return messages.findLast(({ kind }) => kind !== 'checkpoint')
}

/** A stream that cannot be shipped to, in the shipper's word. */
function stopped(thrown: unknown): unknown {
  const isStop =
    thrown instanceof StreamError && (thrown.kind === 'foreign' || thrown.kind === 'full')
  // A file or a folder that cannot be read.
  const isSystem = thrown instanceof Error && 'syscall' in thrown
  return isStop || isSystem ? new ShipStoppedError(thrown.message) : thrown
}
