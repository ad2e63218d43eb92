import type { Message, StoredMessage } from './message'

/** Where a stream ends. */
export interface Tail {
  /** The position of the very last message there has been, of whatever kind, even if it is gone. */
  readonly position: string
  /** The last message that is no checkpoint; undefined if none is there. */
  readonly message: StoredMessage | undefined
  /** Whether there has ever been a message. */
  readonly wasUsed: boolean
}

/** Where reading begins: at the oldest message by default. */
export interface ReadFrom {
  /** The first position to read. One that is gone stands for the next one that is there. */
  readonly position?: string
  /** The lines' own time, in ms since 1970. Lines that are older are left out. */
  readonly sinceMs?: number
}

/** A stream on an existing engine, which holds one log's lines in order. All errors are StreamErrors. */
export interface Stream {
  /** Server and stream, for messages. */
  readonly name: string
  /** The longest body that the server takes, in bytes. */
  readonly maxBodyBytes: number
  /** Where it ends, as the server has it now. It connects again if the connection is gone. */
  tail(): Promise<Tail>
  /**
   * Appends in order, each message only if the one before it stands right before it. It keeps a bounded
   * number in flight, so an array of thousands is no worse than one of hundreds.
   * @param after the position that the stream must end at
   * @returns the new end, once the server has acknowledged all. If it rejects, then some of the first ones may be
   * stored, now or in a moment, and never one without those before it: read the tail again
   */
  append(messages: readonly Message[], after: string): Promise<string>
  /** The messages in order, up to the end as it is when reading begins. */
  read(from?: ReadFrom): AsyncIterable<StoredMessage>
  /** Ends the connection. What is in flight is given up. */
  close(): Promise<void>
}

/** A stream before its first connection. */
export interface UnopenedStream extends Stream {
  /** Connects, and finds the stream or makes it. If it rejects, the stream is still to be closed. */
  open(): Promise<void>
}

/** How to reach a stream. */
export interface StreamOptions {
  /** The stream's name in JetStream, or its key in Redis. */
  readonly stream: string
  /** The subject to publish to, for JetStream. By default the stream's own, if it has just one. */
  readonly subject?: string
  /** Makes the stream if it is missing. Default false: then a missing one is an error. */
  readonly create?: boolean
  /** The path of a NATS credentials file. By default the one that NATS_CREDS names. */
  readonly creds?: string
  /** How long an answer may take, in ms, 100 to 600,000. Default 10,000. */
  readonly timeoutMs?: number
  /** How many messages may be unacknowledged at once, 1 to 65,536. Default 1,024. */
  readonly inFlight?: number
  /** More options for the client's own `connect` or constructor, such as `tls`. They win over those here. */
  readonly client?: Readonly<Record<string, unknown>>
}
