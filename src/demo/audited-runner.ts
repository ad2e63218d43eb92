import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { DenialReason, ExecAudit } from '../index'

/** Who asks, in this demonstration: an agent and a machine of fixed ids. */
const PARTIES = { agentId: 'a9'.repeat(32), machineId: 'b7'.repeat(32) }
const TIMEOUT_MS = 5_000

/** How an audited command ended, for people. */
export interface Ran {
  readonly argv: readonly string[]
  readonly ended: string
}

/** What a command may be asked to do. */
export interface Wish {
  readonly argv: readonly [string, ...string[]]
  /** The rule that allows it; a command without one is denied. */
  readonly matchedAcl?: string
  /** Cancelled after so many milliseconds. */
  readonly cancelAfterMs?: number
}

/**
 * Runs commands as an exec gateway does, in the order that keeps the trail whole: the `request` is
 * durable before the command is spawned, and each later event is on its way before anything else.
 */
export class AuditedRunner {
  readonly #audit: ExecAudit
  readonly #onAck: (ms: number) => void

  /** `onAck` is told how long each event took from the call until it was durable. */
  constructor(audit: ExecAudit, onAck: (ms: number) => void) {
    this.#audit = audit
    this.#onAck = onAck
  }

  async run(wish: Wish): Promise<Ran> {
    const requestId = randomBytes(16)
    const { argv, matchedAcl } = wish
    if (matchedAcl === undefined) return this.#deny(requestId, argv, 'argv_not_allowed')
    await this.#acked(
      this.#audit.request({
        ...PARTIES,
        requestId,
        argv,
        matchedAcl,
        stdinBytes: 0,
        timeoutMs: TIMEOUT_MS,
      }),
    )
    return this.#spawn(requestId, wish)
  }

  async #spawn(requestId: Uint8Array, { argv, cancelAfterMs }: Wish): Promise<Ran> {
    const start = performance.now()
    const [file, ...args] = argv
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: TIMEOUT_MS })
    let stdoutBytes = 0
    let stderrBytes = 0
    child.stdout.on('data', (chunk: Buffer) => {
      stdoutBytes += chunk.length
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderrBytes += chunk.length
    })
    const closed = once(child, 'close')
    try {
      await once(child, 'spawn')
    } catch {
      closed.catch(() => undefined)
      return this.#deny(requestId, argv, 'spawn_failed')
    }
    await this.#acked(this.#audit.started({ requestId, pid: child.pid ?? 0 }))
    if (cancelAfterMs !== undefined) this.#cancelAfter(child, requestId, cancelAfterMs)
    const [code, signal]: [number | null, NodeJS.Signals | null] = readEnd(await closed)
    const durationMs = Math.round(performance.now() - start)
    const counts = { durationMs, stdoutBytes, stderrBytes, truncated: false }
    await this.#acked(this.#audit.exit({ requestId, code, signal, ...counts }))
    return { argv, ended: signal === null ? `exit code ${code}` : `killed by ${signal}` }
  }

  #cancelAfter(child: { kill(): boolean }, requestId: Uint8Array, ms: number): void {
    setTimeout(() => {
      void this.#acked(this.#audit.warning({ requestId, kind: 'cancelled' }))
      child.kill()
    }, ms)
  }

  async #deny(requestId: Uint8Array, argv: readonly string[], reason: DenialReason): Promise<Ran> {
    await this.#acked(this.#audit.denial({ ...PARTIES, requestId, argv, reason }))
    return { argv, ended: `denied: ${reason}` }
  }

  async #acked(outcome: Promise<unknown>): Promise<void> {
    const start = performance.now()
    await outcome
    this.#onAck(performance.now() - start)
  }
}

/** The arguments of a child's `close` event. */
function readEnd(args: unknown): [number | null, NodeJS.Signals | null] {
  const [code, signal]: unknown[] = Array.isArray(args) ? args : []
  return [typeof code === 'number' ? code : null, isSignal(signal) ? signal : null]
}

function isSignal(value: unknown): value is NodeJS.Signals {
  return typeof value === 'string'
}
