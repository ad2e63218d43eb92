import type {
  AuditOutcome,
  DenialEvent,
  ExecAudit,
  ExitEvent,
  IdInput,
  RequestEvent,
  StartedEvent,
  WarningEvent,
} from '../../src'

/*
 * The one workload of all benchmarks: the events of a gateway with busy agents. An allowed command leaves
 * a request, a started, now and then a warning, and an exit; a refused one leaves a denial.
 * A line has about 350 bytes on average. The seed is fixed, so each run has the same events.
 */

/** One call of an event method. */
export type AuditCall =
  | { readonly method: 'request'; readonly event: RequestEvent }
  | { readonly method: 'started'; readonly event: StartedEvent }
  | { readonly method: 'warning'; readonly event: WarningEvent }
  | { readonly method: 'exit'; readonly event: ExitEvent }
  | { readonly method: 'denial'; readonly event: DenialEvent }

/** The event methods, in the order of a command's life. */
export const METHODS = ['request', 'started', 'warning', 'exit', 'denial'] as const

const SEED = 0x5eed
const CALLS = 4096
const DENIED_SHARE = 0.4
const WARNED_SHARE = 0.2

/** Mulberry32: small, and good enough to draw a workload. Numbers from 0 up to, not including, 1. */
function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const WORDS = 'ingest billing search-index telemetry prototype archive gateway ledger'.split(' ')
const KINDS = ['stdout_cap_hit', 'duration_approaching_cap', 'peer_disconnected'] as const
const REASONS = ['argv_not_allowed', 'agent_machine_not_in_acl', 'shell_metachar_in_argv'] as const

/** Draws the events. */
class Draw {
  readonly #random = seededRandom(SEED)
  readonly #agents = Array.from({ length: 12 }, () => this.#bytes(32))
  readonly #machines = Array.from({ length: 4 }, () => this.#bytes(32))

  calls(count: number): AuditCall[] {
    const calls: AuditCall[] = []
    while (calls.length < count) {
      calls.push(...(this.#random() < DENIED_SHARE ? [this.#denied()] : this.#allowed()))
    }
    return calls.slice(0, count)
  }

  #denied(): AuditCall {
    const event = { ...this.#command(this.#bytes(16)), reason: this.#one(REASONS) }
    return { method: 'denial', event }
  }

  #allowed(): AuditCall[] {
    const requestId = this.#bytes(16)
    const limits = { stdinBytes: this.#below(65_536), timeoutMs: 30_000 }
    const request = {
      ...this.#command(requestId),
      matchedAcl: `agents/${this.#one(WORDS)}/run-${this.#below(40)}`,
      ...limits,
    }
    const kind = this.#one(KINDS)
    const bytes = kind === 'stdout_cap_hit' ? 1_048_576 : null
    const warnings: AuditCall[] =
      this.#random() < WARNED_SHARE
        ? [{ method: 'warning', event: { requestId, kind, bytes } }]
        : []
    return [
      { method: 'request', event: request },
      { method: 'started', event: { requestId, pid: 1_000 + this.#below(4_000_000) } },
      ...warnings,
      { method: 'exit', event: this.#exit(requestId) },
    ]
  }

  #exit(requestId: Uint8Array): ExitEvent {
    const isKilled = this.#random() < 0.1
    return {
      requestId,
      code: isKilled ? null : this.#below(3),
      signal: isKilled ? 9 : null,
      durationMs: this.#below(30_000),
      stdoutBytes: this.#below(1_048_576),
      stderrBytes: this.#below(4_096),
      truncated: this.#random() < 0.05,
    }
  }

  #command(requestId: Uint8Array) {
    const agentId = this.#one(this.#agents)
    const machineId = this.#one(this.#machines)
    return { requestId, agentId, machineId, argv: this.#argv() }
  }

  #argv(): string[] {
    const job = `/srv/jobs/${this.#one(WORDS)}/${this.#below(1e6)}`
    const word = this.#one(WORDS)
    const title = `"${word}" café, run ${this.#below(100)}`
    const script = `set -euo pipefail; cd ${job} && python3 -m ${word}.load --from s3://lake/${word}/day=${this.#below(366)} --to "$OUT" --batch ${this.#below(5000)} 2>&1 | tee run.log\nexit "\${PIPESTATUS[0]}"`
    const mounts = ['-v', `${job}/in:/in:ro`, '-v', `${job}/out:/out`, '-e', `TITLE=${title}`]
    const image = `registry.internal/agents/${word}:1.${this.#below(90)}`
    const box = ['docker', 'run', '--rm', '--network=none', '--memory=512m', ...mounts, image]
    return this.#one([
      [...box, 'bash', '-lc', script],
      [...box, 'pytest', '-q', '--maxfail=1', `--junitxml=/out/${word}.xml`, `tests/${word}`],
      ['git', '-C', job, 'log', '--oneline', '--since=2 weeks ago', '--', `src/${word}`],
      [...box, 'node', '--max-old-space-size=384', `/in/${word}.mjs`, '--report', title],
    ])
  }

  #one<T>(list: readonly T[]): T {
    const drawn = list[this.#below(list.length)]
    if (drawn === undefined) throw new RangeError('a draw from an empty list')
    return drawn
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#below(256))
  }
}

/** The workload's calls. A longer run begins again at the first. */
export const calls: readonly AuditCall[] = new Draw().calls(CALLS)

/** Lines shorter than this have no room for argv. */
const SHORT_BYTES_MAX = 300
/** Few enough that the largest of them fit into memory many times. */
const SIZED_CALLS = 64
const ARGUMENT_BYTES = 120

/**
 * Calls whose lines have `bytes` bytes: below 300 roughly, those of the workload without argv; from there on
 * exactly, denials with an argv of the length needed.
 */
export function callsOfBytes(bytes: number): readonly AuditCall[] {
  if (bytes < SHORT_BYTES_MAX) return calls.filter(({ method }) => SHORT_METHODS.has(method))
  return calls
    .filter(({ method }) => method === 'denial')
    .slice(0, SIZED_CALLS)
    .map((call) => withLineBytes(call, bytes))
}

const SHORT_METHODS: ReadonlySet<string> = new Set(['started', 'warning', 'exit'])

function withLineBytes(call: AuditCall, bytes: number): AuditCall {
  if (call.method !== 'denial') return call
  const word = call.event.argv[0] ?? 'run'
  const denialOf = (argv: string[]): AuditCall => ({ ...call, event: { ...call.event, argv } })
  const bytesOf = (argv: string[]) => Buffer.byteLength(lineOf(denialOf(argv)))
  const step = bytesOf([word, '', '']) - bytesOf([word, ''])
  const count = Math.floor((bytes - bytesOf([word, ''])) / (ARGUMENT_BYTES + step))
  const argv = [word, ...Array.from({ length: count }, (_, i) => argumentOf(i)), '']
  const last = 'x'.repeat(bytes - bytesOf(argv))
  return denialOf([...argv.slice(0, -1), last])
}

function argumentOf(i: number): string {
  const head = `--input=/srv/jobs/${WORDS[i % WORDS.length]}/${i}/`
  return head.padEnd(ARGUMENT_BYTES, '0123456789abcdef')
}

/** Hands out the calls, or objects made of them, in turn without end. */
export class CallCycle<Call extends object = AuditCall> {
  #next = 0

  constructor(readonly calls: readonly Call[]) {}

  next(): Call {
    const call = this.calls[this.#next]
    if (call === undefined) throw new RangeError('a cycle of no calls')
    this.#next = (this.#next + 1) % this.calls.length
    return call
  }
}

/** Makes the call on `audit`. */
export function submit(audit: ExecAudit, call: AuditCall): Promise<AuditOutcome> {
  switch (call.method) {
    case 'request':
      return audit.request(call.event)
    case 'started':
      return audit.started(call.event)
    case 'warning':
      return audit.warning(call.event)
    case 'exit':
      return audit.exit(call.event)
    case 'denial':
      return audit.denial(call.event)
  }
}

/** The object whose `JSON.stringify` is the call's line: the format's names, in its order. */
export function lineObject(call: AuditCall, tsUnixMs: number): object {
  const { method, event } = call
  const head = { event: method, ts_unix_ms: tsUnixMs, request_id: hex(event.requestId) }
  switch (method) {
    case 'request':
      return {
        ...head,
        ...whoAndWhat(call.event),
        matched_acl: call.event.matchedAcl ?? null,
        stdin_bytes: call.event.stdinBytes,
        timeout_ms: call.event.timeoutMs,
      }
    case 'started':
      return { ...head, pid: call.event.pid }
    case 'warning':
      return { ...head, kind: call.event.kind, bytes: call.event.bytes ?? null }
    case 'exit':
      return {
        ...head,
        code: call.event.code ?? null,
        signal: call.event.signal ?? null,
        duration_ms: call.event.durationMs,
        stdout_bytes: call.event.stdoutBytes,
        stderr_bytes: call.event.stderrBytes,
        truncated: call.event.truncated,
      }
    case 'denial':
      return { ...head, ...whoAndWhat(call.event), reason: call.event.reason }
  }
}

function whoAndWhat({ agentId, machineId, argv }: RequestEvent | DenialEvent) {
  return { agent_id: hex(agentId), machine_id: hex(machineId), argv }
}

/** An id as it stands in the line. */
export function hex(id: IdInput): string {
  if (typeof id === 'string') return id.toLowerCase()
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('hex')
}

/** The call's line, made as the reference makes it. */
export function lineOf(call: AuditCall): string {
  return `${JSON.stringify(lineObject(call, Date.now()))}\n`
}
