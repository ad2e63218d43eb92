/// <reference types="node" preserve="true" />
/**
 * Beyond one machine: ships a log into a stream of NATS JetStream or Redis, each line once and in order, and reads it
 * back.
 *
 * @module x0x-exec-audit/ship
 */

export { newestCheckpoint } from './newest-checkpoint'
export { openStream } from './open-stream'
export type { ShipNote } from './shipper/line-source'
export { openShipper, type RunningShipper, type ShipperOptions } from './shipper/open-shipper'
export { ShipStoppedError } from './shipper/ship-error'
export type { ShipStats } from './shipper/ship-meter'
export { MESSAGE_KINDS, type Message, type MessageKind, type StoredMessage } from './stream/message'
export type { ReadFrom, Stream, StreamOptions, Tail } from './stream/stream'
export { StreamError, type StreamErrorKind } from './stream/stream-error'
