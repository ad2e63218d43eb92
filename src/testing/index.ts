/**
 * An audit in memory, for the unit tests of a gateway.
 *
 * @module x0x-exec-audit/testing
 */
export { type FailOptions, MemoryAudit } from './memory-audit'
