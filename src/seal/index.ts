/// <reference types="node" preserve="true" />
/**
 * Evidence that shows tampering: seals a log, verifies it against its seal, and proves its lines.
 *
 * @module x0x-exec-audit/seal
 */

export { SealError } from './seal-error'
export { openSealer, type RunningSealer, SealHeldError } from './sealer/open-sealer'
export type { SealerOptions, SealPlace } from './sealer/seal-options'
export type { SealNote, SealStats } from './sealer/sealer'
export type { KeptCheckpoint } from './verify/anchors'
export { type ProvedLine, type ProveReport, proveRequest } from './verify/prove-request'
export {
  SEAL_FINDINGS,
  type SealAnchor,
  type SealFinding,
  type SealFindingKind,
  type SealRange,
  type SealReport,
} from './verify/seal-report'
export { type VerifySealOptions, verifySeal } from './verify/verify-seal'
