export { type FailOptions, MemoryAudit } from './memory-audit'
