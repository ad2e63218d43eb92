/**
 * An audit in memory, for the unit tests of a gateway.
 *
 * @module x0x-exec-audit/testing
 */
export { type FailedEvent, MemoryAudit, type MemoryAuditOptions } from './memory-audit'
export type { ErrnoName, FailOptions } from './planned-failures'
