export { closeLeftovers } from './descriptors'

import { type DrainConfig, DrainLoop, type OversizeSource } from './drain-loop'
import type { RingMemory } from './layout'
import type { Notice } from './notice'

/**
 * The drain loop for the calling thread: when there is no worker, and when that thread has to block
 * and the worker is not draining. The only place where the caller's side meets the sink: worker-host.ts
 * loads it apart from the rest.
 */
export function openCallerDrain(
  config: DrainConfig,
  oversize: OversizeSource,
  onNotice: (notice: Notice) => void,
  memory: RingMemory,
): DrainLoop {
  return new DrainLoop(config, oversize, onNotice, memory)
}
