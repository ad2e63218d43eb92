import type { Message, StoredMessage } from '../stream/message'
import type { CutLine } from './line-cutter'
import type { Place } from './place'

/** Lines that follow each other, to be appended. */
export interface LineBatch {
  /** The index of the first line. */
  readonly first: number
  readonly lines: readonly CutLine[]
  /** Lines that are missing here; then there are none in the batch, and `first` is the gap's `to`. */
  readonly gap?: { readonly from: number; readonly to: number; readonly reason: string }
  /** The source's place behind them, for a later start. */
  readonly place: Place
  /** Whether more was there when they were read. */
  readonly hasMore: boolean
}

/** What a source needs to find its place. */
export interface ResumeTask {
  /** The stream's last message that is no checkpoint; undefined if it holds none. */
  readonly last: StoredMessage | undefined
  /** The index of the next line, if the stream does not tell it: the operator or the state does. */
  readonly from: number | undefined
  /** Whether that line is the record of a gap before the place, which an earlier run could not store. */
  readonly isGapDue: boolean
  /** Whether a checkpoint stands behind that message. */
  readonly hasCheckpoint: boolean
  /** Where an earlier run stood: a hint. */
  readonly place: Place | undefined
  /** All messages of the stream, the oldest first, or from a position on. */
  readonly read: (position?: string) => AsyncIterable<StoredMessage>
}

/** Something that an operator has to know. */
export interface ShipNote {
  /**
   * `refused`: a file is not read; `truncated`: a file of the log was; `again`: lines that the stream had lost are
   * shipped again; `outage`: the server does not answer, or has no room; `back`: it does again; `waiting`: another
   * shipper appends; `oversize`: a line is longer than the server takes; `gap`: lines are missing; `failed`: something
   * beside the shipping, such as the file of metrics.
   */
  readonly kind:
    | 'refused'
    | 'truncated'
    | 'again'
    | 'outage'
    | 'back'
    | 'waiting'
    | 'oversize'
    | 'gap'
    | 'failed'
  /** One sentence for an operator. */
  readonly message: string
}

/** The lines of a log, in the order in which they get their index. */
export interface LineSource {
  /** Of the lines' indexes: a seal's, or `-`. */
  readonly origin: string
  /** Finds the place behind the stream's last line. Throws a ShipStoppedError if it is not there. */
  resume(task: ResumeTask): Promise<void>
  /** The lines that have come, up to a limit; none if there are none. */
  read(): Promise<LineBatch>
  /** Messages other than lines that belong behind what was read. */
  asides?(): Promise<readonly Message[]>
  /** Lines that were not read yet, and text whose lines were not counted. Opens the files that have come. */
  unread(): Promise<{ readonly lines: number; readonly bytes: number }>
  close(): Promise<void>
}
