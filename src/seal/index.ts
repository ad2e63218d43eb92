export { SealError } from './seal-error'
export { openSealer, type RunningSealer, SealHeldError } from './sealer/open-sealer'
export type { SealerOptions, SealPlace } from './sealer/seal-options'
export type { SealNote, SealStats } from './sealer/sealer'
