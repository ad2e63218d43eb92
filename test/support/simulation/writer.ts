import { strict as assert } from 'node:assert'
import { createHistogram } from 'node:perf_hooks'
import type { RequestEvent } from '../../../src/format/events'
import { Admission } from '../../../src/writer/caller/admission'
import type { Settle } from '../../../src/writer/caller/promise-queue'
import { Settlement } from '../../../src/writer/caller/settlement'
import { DrainLoop } from '../../../src/writer/drain/drain-loop'
import { GroupJournal } from '../../../src/writer/log/group-journal'
import { closeLeftovers, OpenDescriptors } from '../../../src/writer/log/open-descriptors'
import { EventEncoder } from '../../../src/writer/record/encode'
import {
  allocateMemory,
  DESCRIPTOR_WORDS,
  DURABLE,
  HEAD,
  JOURNAL_STATE,
  positionDelta,
  type SharedMemory,
  TAIL,
} from '../../../src/writer/ring/memory-map'
import type { Notice, TornTail } from '../../../src/writer/ring/messages'
import { OversizeStore } from '../../../src/writer/ring/oversize'
import { RingProducer } from '../../../src/writer/ring/ring'
import { flushUpTo } from '../../../src/writer/ring/wake-up'
import type { SimulatedDisk } from './disk'
import type { FileNode } from './inodes'
import type { SimulatedThread } from './thread'

export interface WriterSettings {
  readonly path: string
  readonly capacity: number
  readonly initialPosition: number
  readonly maxEvents: number
  readonly maxBytes: number
  readonly maxDelayMs: number
  readonly retryForMs: number
  /** Whether a worker's descriptors stay open when it ends; otherwise Node closes them. */
  readonly descriptorsOutlive: boolean
}

/** An event on its way, and what became of it. */
export interface SimulatedEvent {
  readonly index: number
  /** Newline included; empty for a reopen. */
  readonly line: string
  /** When it was submitted and when its outcome was published, in calls of the disk. */
  readonly submittedAt: number
  publishedAt: number
  position: number
  outcome: 'pending' | 'durable' | 'failed'
  settled: 'pending' | 'durable' | 'failed'
  /** Whether someone has cut the file that it stood in. */
  isTruncated: boolean
}

/** A fragment that was reported. */
export interface ReportedFragment extends TornTail {
  readonly file: FileNode
}

type Role = 'worker' | 'caller'

const groupEvents = createHistogram()
const syncNs = createHistogram()
/** The journal's state while its group is doubted. */
const JOURNAL_DOUBTED = 2
const WAITING_BYTES_MAX = 1 << 20

/** Thrown when the machine has lost its power: nothing of the writer is left. */
export class PowerCut extends Error {}

/** Notes at which position an event's record stands. */
class TracedSettlement extends Settlement {
  onExpect: (position: number) => void = () => undefined
  override expect(position: number, settle: Settle): void {
    super.expect(position, settle)
    this.onExpect(position)
  }
}

/** The simulation looks at failures in the ring itself. */
const NO_REPORTER = { note: () => undefined, noteSuccess: () => undefined }

/**
 * The writer without its threads: the real encoder, ring, admission, settlement and drain loop, taken a
 * step at a time. The two that may drain are a worker, which may end at any point, and the caller.
 */
export class SimulatedWriter {
  readonly events: SimulatedEvent[] = []
  readonly reported: ReportedFragment[] = []
  /** Ends of fragments that were closed by a thread that ended before it could tell. */
  readonly unreported = new Set<string>()
  /** When a thread ended while it asked the error probe, in calls of the disk: nobody knows the answer. */
  readonly unansweredProbes: number[] = []
  readonly memory: SharedMemory
  role: Role | undefined
  deaths = 0
  readonly #settings: WriterSettings
  readonly #disk: SimulatedDisk
  readonly #thread: SimulatedThread
  readonly #ring: RingProducer
  readonly #settlement: TracedSettlement
  readonly #oversize = new OversizeStore()
  readonly #admission: Admission
  readonly #encoder = new EventEncoder({
    maxEventBytes: 1 << 20,
    redact: undefined,
    clock: () => 0,
    withholdOnRedactError: false,
    onRedactError: () => undefined,
  })
  readonly #loops = new Map<Role, DrainLoop>()
  /** Descriptors that a thread had forgotten when it ended, and not yet closed. */
  readonly #lostDescriptors = new Set<number>()
  #settledCount = 0
  #publishedCount = 0
  #positionedCount = 0

  constructor(settings: WriterSettings, disk: SimulatedDisk, thread: SimulatedThread) {
    this.#settings = settings
    this.#disk = disk
    this.#thread = thread
    this.memory = allocateMemory(settings.capacity, settings.initialPosition)
    this.#ring = new RingProducer(this.memory.ring)
    const offer = () => undefined
    this.#settlement = this.#newSettlement()
    this.#admission = new Admission(
      this.#ring,
      this.#settlement,
      this.#oversize,
      offer,
      WAITING_BYTES_MAX,
    )
    this.#settlement.onExpect = (position) => {
      const event = this.events[this.#positionedCount++]
      if (event !== undefined) event.position = position
    }
  }

  get isSettled(): boolean {
    return this.#settledCount === this.events.length
  }

  started(pid: number, requestId: string): void {
    this.#encoder.prepare('started', { requestId, pid })
    this.#submit({ event: 'started', ts_unix_ms: 0, request_id: requestId, pid })
  }

  request(event: RequestEvent & { readonly requestId: string }): void {
    this.#encoder.prepare('request', event)
    this.#submit({
      event: 'request',
      ts_unix_ms: 0,
      request_id: event.requestId,
      agent_id: event.agentId,
      machine_id: event.machineId,
      argv: event.argv,
      matched_acl: event.matchedAcl,
      stdin_bytes: event.stdinBytes,
      timeout_ms: event.timeoutMs,
    })
  }

  reopen(): void {
    this.#encoder.prepare('reopen')
    this.#submit(undefined)
  }

  /** The calling thread learns of progress. */
  settle(): void {
    this.#settlement.settle()
  }

  /** Asks the drainer not to wait for more events. */
  flush(): void {
    flushUpTo(this.memory.ring, this.#ring.tailPosition)
  }

  /** Whether another thread may take the ring over. */
  get isAtRest(): boolean {
    return this.role === undefined || (this.#loops.get(this.role)?.isAtRest ?? true)
  }

  /** Makes this thread the drainer. The one before it is at rest, or has ended. */
  takeOver(role: Role): void {
    this.role = role
    this.#disk.trace.push(`${role} takes over`)
    this.#act(() => {
      const known = this.#loops.get(role)
      if (known !== undefined) known.restart()
      else this.#loops.set(role, this.#newLoop(role))
    })
  }

  /** One step of the drainer; as DrainLoop.step. */
  step(): number {
    const loop = this.role && this.#loops.get(this.role)
    assert(loop !== undefined, 'nobody drains')
    return this.#act(() => loop.step()) ?? 0
  }

  /** Closes the file of a thread that is at rest. */
  closeLoop(role: Role): void {
    const loop = this.#loops.get(role)
    this.#loops.delete(role)
    if (this.role === role) this.role = undefined
    if (loop !== undefined) this.#act(() => loop.close(), role)
  }

  /** The end of the worker between two steps. */
  endWorker(): void {
    if (this.#loops.delete('worker')) this.#bury(new Set())
    if (this.role === 'worker') this.role = undefined
  }

  /** The writer's close, when all is settled. */
  close(): void {
    this.closeLoop('caller')
    this.closeLoop('worker')
    this.#disk.owner = 'caller'
    this.#thread.isMortal = false
    this.#thread.run(this.memory, () => this.#closeLeftovers())
    const open = this.#disk.openDescriptors().filter((fd) => !this.#lostDescriptors.has(fd))
    assert.deepEqual(open, [], 'descriptors are open after the end')
    assert.equal(this.#disk.badDescriptors, 0, 'calls on descriptors that are not open')
    assert.equal(this.#disk.touchedCanaries, 0, "calls on somebody else's descriptors")
  }

  #newSettlement(): TracedSettlement {
    const options = { path: this.#settings.path, success: 'durable' as const, rejects: false }
    const onFreed = () => {
      this.#admission.releaseBefore(this.#ring.headPosition)
      if (this.#admission.promote()) this.flush()
    }
    // The simulation decides when the calling thread notices that the durable position has moved.
    const events = { onFreed, onMoved: () => undefined }
    return new TracedSettlement(this.memory.ring, this.#ring, options, NO_REPORTER, events)
  }

  #submit(fields: object | undefined): void {
    const event: SimulatedEvent = {
      index: this.events.length,
      line: fields === undefined ? '' : `${JSON.stringify(fields)}\n`,
      submittedAt: this.#disk.calls,
      publishedAt: Number.POSITIVE_INFINITY,
      position: 0,
      outcome: 'pending',
      settled: 'pending',
      isTruncated: false,
    }
    this.events.push(event)
    const settle: Settle = (outcome) => {
      assert.equal(event.settled, 'pending', `event ${event.index} is settled twice`)
      assert.equal(event.index, this.#settledCount, 'settled out of order')
      assert.equal(outcome, event.outcome, `event ${event.index} is settled as something else`)
      event.settled = event.outcome
      this.#settledCount++
    }
    if (this.#admission.tryPublish(this.#encoder, settle)) return
    this.settle()
    if (this.#admission.tryPublish(this.#encoder, settle)) return
    this.flush()
    assert(this.#admission.tryWait(this.#encoder, settle), 'too much is waiting')
  }

  #newLoop(role: Role): DrainLoop {
    const { path, maxEvents, maxBytes, maxDelayMs, retryForMs } = this.#settings
    const config = {
      sink: {
        path,
        fileMode: 0o600,
        dirMode: 0o700,
        onUnsafeFile: 'warn' as const,
        syncMethod: 'fdatasync' as const,
        descriptorsOutlive: this.#settings.descriptorsOutlive,
      },
      maxEvents,
      maxBytes,
      maxDelayMs,
      retryForMs,
      groupEvents,
      syncNs,
    }
    const onNotice = (notice: Notice) => {
      assert.equal(notice.kind, 'torn-tail', 'the simulated file is unsafe')
      if (notice.kind === 'torn-tail') this.#onTornTail(notice)
    }
    if (role === 'caller') return new DrainLoop(config, this.#oversize, onNotice, this.memory)
    this.#closeLeftovers()
    const descriptors = new OpenDescriptors(this.memory.journal)
    return new DrainLoop(config, this.#oversize, onNotice, this.memory, descriptors)
  }

  #closeLeftovers(): void {
    closeLeftovers(this.memory, this.#settings.descriptorsOutlive)
  }

  #onTornTail(tail: TornTail): void {
    const file = this.#disk.lastWrite?.node
    if (file === undefined || this.#thread.isEnded) return
    this.reported.push({ ...tail, file })
    this.#disk.lastWrite = undefined
  }

  /** Runs a piece of a drainer's work, and looks at what it has left behind. */
  #act<T>(work: () => T, role = this.role): T | undefined {
    this.#disk.owner = role ?? 'test'
    this.#thread.isMortal = role === 'worker'
    const result = this.#thread.run(this.memory, work)
    if (this.#thread.isEnded && this.#thread.isPowerCut) {
      this.#publish()
      this.#noteUnreported()
      throw new PowerCut()
    }
    if (this.#thread.isEnded) {
      this.#loops.delete('worker')
      this.role = undefined
      this.#bury(this.#thread.closing)
      this.#thread.replace()
    }
    this.#checkPositions()
    this.#publish()
    return result
  }

  /** Checks that a thread's end leaves no descriptor that nobody knows about. */
  #bury(closing: ReadonlySet<number>): void {
    this.deaths++
    this.#disk.trace.push('  death')
    this.#noteUnreported()
    const { journal } = this.memory
    const noted = new GroupJournal(journal).place()
    const { descriptorsOutlive } = this.#settings
    const state = Atomics.load(journal.words, JOURNAL_STATE)
    const isDoubted = state === JOURNAL_DOUBTED || (noted !== undefined && !descriptorsOutlive)
    if (isDoubted) this.unansweredProbes.push(this.#disk.calls)
    if (!descriptorsOutlive) {
      this.#disk.replaceByCanaries('worker')
      return
    }
    const words = DESCRIPTOR_WORDS.map((word) => Atomics.load(journal.words, word))
    const known = new Set([...words, noted?.fd, noted?.probe])
    for (const fd of this.#disk.openDescriptors('worker')) {
      if (known.has(fd) || this.#lostDescriptors.has(fd)) continue
      assert(closing.has(fd), `nobody knows about descriptor ${fd} after the thread's end`)
      this.#lostDescriptors.add(fd)
    }
  }

  #noteUnreported(): void {
    const { lastWrite } = this.#disk
    if (lastWrite?.isNewline) this.unreported.add(endOf(lastWrite.node, lastWrite.node.size))
  }

  #checkPositions(): void {
    const { words, capacity } = this.memory.ring
    const [head, durable, tail] = [HEAD, DURABLE, TAIL].map((word) => Atomics.load(words, word))
    assert(head !== undefined && durable !== undefined && tail !== undefined)
    const isOrdered =
      positionDelta(durable, head) >= 0 &&
      positionDelta(tail, durable) >= 0 &&
      positionDelta(tail, head) <= capacity
    assert(isOrdered, `positions: head=${head} durable=${durable} tail=${tail}`)
  }

  /** Looks at the outcomes that were published, before anything else can happen. */
  #publish(): void {
    const durable = this.#ring.durablePosition
    while (this.#publishedCount < this.#positionedCount) {
      const event = this.events[this.#publishedCount]
      if (event === undefined || positionDelta(durable, event.position) <= 0) return
      this.#publishedCount++
      event.publishedAt = this.#disk.calls
      this.#disk.trace.push(`  event ${event.index} published`)
      event.outcome = this.#ring.failureAt(event.position) === 0 ? 'durable' : 'failed'
      if (event.outcome === 'durable')
        assert(this.#isSafe(event), `event ${event.index} is not safe`)
    }
  }

  #isSafe(event: SimulatedEvent): boolean {
    if (event.line === '' || event.isTruncated) return true
    return this.#disk.files.some(
      (file) =>
        hasLine(file.durableContent, event.line) &&
        file.links > 0 &&
        this.#disk.hasDurableName(file),
    )
  }
}

/** Names a place in a file. */
export function endOf(file: FileNode, offset: number): string {
  return `${file.ino}:${offset}`
}

/** Whether the line stands there, behind a newline, or behind what the disk has lost. */
function hasLine(content: Buffer, line: string): boolean {
  const at = content.indexOf(line)
  return at === 0 || (at > 0 && (content[at - 1] === 0x0a || content[at - 1] === 0))
}
