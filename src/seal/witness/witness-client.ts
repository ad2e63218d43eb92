import { textOf } from '../../base/describe'
import { parseCheckpoint } from '../note/checkpoint'
import { formatNote, parseNote, type VerifiedSignature, verifySignatures } from '../note/note'
import { SealError } from '../seal-error'
import { consistencyProof, type ReadNode } from '../tree/proofs'
import { askWitness, OtherLogError, type SignedNoteText, type Witness } from './witness-request'

const REQUEST_MS_MAX = 10_000
const RETRY_MS_MIN = 1_000
const RETRY_MS_MAX = 60_000

/** What the client needs. */
export interface WitnessClientOptions {
  readonly witnesses: readonly Witness[]
  /** The nodes of the tree's first `size` leaves, for proofs of consistency. */
  readonly nodes: (size: number) => ReadNode
  /** The last cosigned note that was kept; undefined if there is none. */
  readonly kept?: Buffer | undefined
  /** Keeps a cosigned note: called with the largest one, one call at a time. */
  readonly onWitnessed: (note: Buffer) => void | Promise<void>
  /** Called with what went wrong, once until it changes or ends. */
  readonly onProblem: (problem: WitnessProblem) => void
}

/** A witness that does not sign. */
export interface WitnessProblem {
  readonly witness: string
  /** `ahead`: it has signed another or a longer log of this origin: the log or its seal was put back. */
  readonly kind: 'failed' | 'ahead'
  readonly message: string
}

interface WitnessState {
  readonly witness: Witness
  /** The size that it has signed last, as far as is known. */
  size: number
  /** Failures in a row, and until when it is left alone. */
  failures: number
  restUntilMs: number
  problem: string | undefined
}

/**
 * Has checkpoints cosigned by witnesses. It never delays anyone: a note is offered and forgotten, one request per witness
 * is in flight, and what comes meanwhile is replaced by the newest one.
 */
export class WitnessClient {
  readonly #options: WitnessClientOptions
  readonly #states: readonly WitnessState[]
  readonly #abort = new AbortController()
  #newest: SignedNoteText | undefined
  #running: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  /** How many of these witnesses have signed the note that is kept. */
  #keptCount: number

  constructor(options: WitnessClientOptions) {
    this.#options = options
    const state = { size: 0, failures: 0, restUntilMs: 0, problem: undefined }
    this.#states = options.witnesses.map((witness) => ({ ...state, witness }))
    this.#keptCount = options.kept === undefined ? 0 : this.#countSigners(options.kept)
  }

  /** Takes the newest signed checkpoint, and returns at once. Throws a {@link SealError} if it is none. */
  offer(note: string): void {
    const bytes = Buffer.from(note)
    const { text } = parseNote(bytes, 'the checkpoint')
    const checkpoint = parseCheckpoint(text, 'the checkpoint')
    this.#newest = { checkpoint, text, bytes }
    this.#start()
  }

  /** Waits until each witness has answered for what was offered last, or has had its time: at most 10 s per request. */
  async settle(): Promise<void> {
    await this.#running
  }

  /** Gives up what is in flight. */
  async close(): Promise<void> {
    this.#newest = undefined
    clearTimeout(this.#retry)
    this.#abort.abort()
    await this.#running
  }

  #start(): void {
    if (this.#running !== undefined || this.#states.length === 0) return
    clearTimeout(this.#retry)
    this.#running = this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** Rounds until nothing newer is there: each asks all witnesses for one checkpoint. */
  async #run(): Promise<void> {
    for (let note = this.#newest; note !== undefined; note = this.#newest) {
      this.#newest = undefined
      const answers = await Promise.all(this.#states.map((state) => this.#ask(state, note)))
      if (this.#abort.signal.aborted) return
      const signatures = answers.flatMap((answer) => answer ?? [])
      await this.#keep(note, signatures)
      if (answers.includes(undefined) && this.#newest === undefined) {
        this.#retryLater(note)
        return
      }
    }
  }

  /** Without a newer note this one is tried again, once a witness has rested. */
  #retryLater(note: SignedNoteText): void {
    const failed = this.#states.filter(({ failures }) => failures > 0)
    const restMs = Math.min(...failed.map(({ restUntilMs }) => restUntilMs))
    this.#retry = setTimeout(
      () => {
        this.#newest ??= note
        this.#start()
      },
      Math.max(0, restMs - performance.now()),
    )
    this.#retry.unref()
  }

  async #keep(note: SignedNoteText, signatures: readonly VerifiedSignature[]): Promise<void> {
    // A note that fewer have signed is worth less than an older one.
    if (signatures.length === 0 || signatures.length < this.#keptCount) return
    const own = parseNote(note.bytes, 'the checkpoint').signatures.map(({ line }) => line)
    const lines = [...own, ...signatures.map(({ line }) => line)]
    await this.#options.onWitnessed(Buffer.from(formatNote(note.text, lines)))
    this.#keptCount = signatures.length
  }

  /** A witness's cosignature; undefined if it has not signed. */
  async #ask(
    state: WitnessState,
    note: SignedNoteText,
  ): Promise<readonly VerifiedSignature[] | undefined> {
    if (isResting(state)) return undefined
    try {
      const signatures = await this.#cosign(state, note)
      state.size = note.checkpoint.size
      state.failures = 0
      state.problem = undefined
      return signatures
    } catch (thrown) {
      if (this.#abort.signal.aborted) return undefined
      const restMs = Math.min(RETRY_MS_MIN * 2 ** state.failures++, RETRY_MS_MAX)
      state.restUntilMs = performance.now() + restMs
      this.#report(state, thrown instanceof OtherLogError ? 'ahead' : 'failed', messageOf(thrown))
      return undefined
    }
  }

  async #cosign(state: WitnessState, note: SignedNoteText): Promise<readonly VerifiedSignature[]> {
    // Of an older note than the one that it has signed there is nothing to ask.
    const from = Math.min(state.size, note.checkpoint.size)
    const answer = await this.#request(state, note, from)
    if (answer.kind === 'cosigned') return answer.signatures
    state.size = answer.size
    const { size } = note.checkpoint
    const again = answer.size < size || from < size
    const second =
      again && answer.size <= size ? await this.#request(state, note, answer.size) : answer
    if (second.kind === 'cosigned') return second.signatures
    if (second.size < size) {
      throw new SealError(
        `it has signed ${second.size} lines now; does another sealer of this origin run?`,
      )
    }
    throw new OtherLogError(
      `it has signed ${second.size} lines, and not these ${size}: the log and its seal were put back, or are another's`,
    )
  }

  async #request({ witness }: WitnessState, note: SignedNoteText, old: number) {
    const { size } = note.checkpoint
    const proof = consistencyProof(this.#options.nodes(size), old, size)
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(REQUEST_MS_MAX)])
    return await askWitness(witness, note, old, proof, signal)
  }

  #report(state: WitnessState, kind: WitnessProblem['kind'], message: string): void {
    if (state.problem === message) return
    state.problem = message
    this.#options.onProblem({ witness: state.witness.key.name, kind, message })
  }

  #countSigners(bytes: Buffer): number {
    try {
      const keys = this.#states.map(({ witness }) => witness.key)
      return verifySignatures(parseNote(bytes, 'the kept note'), keys, 'the kept note').length
    } catch (thrown) {
      // One that is damaged is worth nothing.
      if (thrown instanceof SealError) return 0
      throw thrown
    }
  }
}

function isResting({ restUntilMs }: WitnessState): boolean {
  return restUntilMs > performance.now()
}

/** What fetch throws says by its cause what went wrong. */
function messageOf(thrown: unknown): string {
  if (thrown instanceof SealError) return thrown.message
  const hasCause = typeof thrown === 'object' && thrown !== null && 'cause' in thrown
  const cause = hasCause && thrown.cause !== undefined ? `: ${textOf(thrown.cause)}` : ''
  return `${textOf(thrown)}${cause}`
}
