/*
 * The drain loop for the calling thread: when there is no worker, and when that thread has to block
 * and the worker is not draining. The only place where the caller's side meets the sink: stand-in.ts
 * loads it apart from the rest.
 */

export { DrainLoop } from '../drain/drain-loop'
export { closeLeftovers } from '../log/open-descriptors'
