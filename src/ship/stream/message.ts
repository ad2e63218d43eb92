/** What a message is. Only a `line` has a line of the log as its body; `oversize` and `gap` stand for lines. */
export const MESSAGE_KINDS = ['line', 'oversize', 'gap', 'checkpoint'] as const

/** One of {@link MESSAGE_KINDS}. */
export type MessageKind = (typeof MESSAGE_KINDS)[number]

/** One message of a stream: a line of the log as it is, or what stands for lines, and its place. */
export interface Message {
  /** What it is, and what its body is. */
  readonly kind: MessageKind
  /**
   * The line's number, from 0, since its origin began. A gap marker has its `to`; a checkpoint has the
   * number of lines before it, which is the index of the line that follows it.
   */
  readonly index: number
  /** The seal's origin; `-` without a seal. */
  readonly origin: string
  /** SHA-256 of the line without its newline, in 32 bytes; of a gap marker and a checkpoint, of the body. */
  readonly sha256: Buffer
  /** The `sha256` of the message before it that is no checkpoint; undefined for the first one. */
  readonly prev: Buffer | undefined
  /** The bytes as they are: of a line without its newline. */
  readonly body: Buffer
}

/** A message, and where it stands. */
export interface StoredMessage extends Message {
  /** The engine's own word for its place: a stream sequence of NATS, an id of Redis. */
  readonly position: string
}
