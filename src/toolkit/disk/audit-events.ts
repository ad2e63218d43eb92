import type { RequestEvent } from '../../format/events'

const AGENT_ID = 'a1'.repeat(32)
const MACHINE_ID = 'b2'.repeat(32)
const REQUEST_ID_BYTES = 16

/** The bytes of a request's line without its one argument, newline included. */
const LINE_OVERHEAD = Buffer.byteLength(
  `${JSON.stringify({
    event: 'request',
    ts_unix_ms: Date.now(),
    request_id: '00'.repeat(REQUEST_ID_BYTES),
    agent_id: AGENT_ID,
    machine_id: MACHINE_ID,
    argv: [''],
    matched_acl: 'tune',
    stdin_bytes: 0,
    timeout_ms: 30_000,
  })}\n`,
)

/** The range of `--event-bytes`. */
export const EVENT_BYTES_MIN = LINE_OVERHEAD
export const EVENT_BYTES_MAX = 2 ** 20

/** Hands out requests whose lines have `bytes` bytes, each with an id of its own. */
export function eventMaker(bytes: number): () => RequestEvent {
  const argv = ['x'.repeat(bytes - LINE_OVERHEAD)]
  let count = 0
  return () => {
    const requestId = Buffer.alloc(REQUEST_ID_BYTES)
    requestId.writeDoubleBE(count++)
    return {
      requestId,
      agentId: AGENT_ID,
      machineId: MACHINE_ID,
      argv,
      matchedAcl: 'tune',
      stdinBytes: 0,
      timeoutMs: 30_000,
    }
  }
}
