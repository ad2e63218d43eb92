import { strict as assert } from 'node:assert'
import { AGENT_ID, MACHINE_ID } from '../events'
import { type Call, type Fault, SimulatedDisk } from './disk'
import { FileNode } from './inodes'
import { checkFiles } from './invariants'
import { type SimulatedClock, SimulatedThread, simulate } from './thread'
import { SimulatedWriter } from './writer'

interface FailurePlan {
  /** Which call fails first, and how many do. */
  readonly at: number
  readonly length: number
  readonly code: string
  readonly retryForMs: number
  readonly isPlausible: (call: Call, code: string) => boolean
}

const PATH = '/log/exec.log'
const STEPS_MAX = 2_000
const OVERSIZE = 'x'.repeat(2_000)
const HALF = 0.5

/** One scenario, in which the calls that a plan names fail. */
export class FailingRun {
  readonly #plan: FailurePlan
  readonly #clock: SimulatedClock = { now: 0 }
  readonly #thread = new SimulatedThread((call) => this.#faultOf(call))
  readonly #disk = new SimulatedDisk(this.#thread)
  readonly #writer: SimulatedWriter
  readonly #touchedAt: number[] = []
  #isReached = false
  #submitted = 0

  constructor(plan: FailurePlan) {
    this.#plan = plan
    const settings = {
      path: PATH,
      capacity: 4096,
      initialPosition: 2 ** 32 - 800,
      maxEvents: 3,
      maxBytes: 1 << 20,
      maxDelayMs: 0,
      retryForMs: plan.retryForMs,
      descriptorsOutlive: true,
    }
    this.#writer = new SimulatedWriter(settings, this.#disk, this.#thread)
  }

  get trace(): readonly string[] {
    return this.#disk.trace
  }

  /** Events that have failed. */
  get failed(): number {
    return this.#writer.events.filter(({ outcome }) => outcome === 'failed').length
  }

  /** Plays the scenario; returns whether the call that fails first was reached. */
  run(): boolean {
    return simulate(this.#disk, this.#thread, this.#clock, () => {
      this.#play()
      this.#writer.close()
      const { events, reported, unreported } = this.#writer
      const excusedAt = [...this.#touchedAt, ...this.#disk.failedSyncs, ...this.#disk.breakages]
      checkFiles(this.#disk, [{ events, reported, unreported, excusedAt, isQuiet: false }])
      if (!this.#isReached) assert.equal(this.failed, 0, 'failed without a failure')
      return this.#isReached
    })
  }

  #play(): void {
    this.#writer.takeOver('worker')
    this.#submit(5)
    this.#drain()
    this.#touch((file) => this.#folder.rename('exec.log', 'exec.log.1', file))
    this.#submit(4)
    this.#submitOversize()
    this.#drain()
    this.#writer.reopen()
    this.#submit(2)
    this.#drain()
    this.#touch((file) => this.#folder.remove('exec.log', file))
    this.#submit(2)
    this.#drain()
    this.#touch((file) => file.append(Buffer.from('{"foreign":1')))
    this.#submit(2)
    this.#drain()
    this.#submit(3)
    this.#writer.step()
    this.#writer.endWorker()
    this.#writer.takeOver('worker')
    this.#drain()
  }

  get #folder() {
    const place = this.#disk.folderOf(PATH)
    assert(place !== undefined)
    return place.folder
  }

  #touch(action: (file: FileNode) => void): void {
    this.#touchedAt.push(this.#disk.calls)
    const file = this.#disk.find(PATH)
    if (file instanceof FileNode) action(file)
  }

  #drain(): void {
    for (let steps = 0; !this.#writer.isSettled; steps++) {
      assert(steps < STEPS_MAX, 'no end in sight')
      const waitMs = this.#writer.step()
      if (Number.isFinite(waitMs)) this.#clock.now += waitMs
      this.#writer.settle()
    }
  }

  #submit(count: number): void {
    for (let i = 0; i < count; i++) {
      const pid = this.#submitted++
      this.#writer.started(pid, pid.toString(16).padStart(32, '0'))
    }
  }

  #submitOversize(): void {
    this.#writer.request({
      requestId: 'f'.repeat(32),
      agentId: AGENT_ID,
      machineId: MACHINE_ID,
      argv: [OVERSIZE],
      matchedAcl: null,
      stdinBytes: 0,
      timeoutMs: 0,
    })
  }

  #faultOf(call: Call): Fault | undefined {
    const { at, length, code, isPlausible } = this.#plan
    const nth = this.#disk.calls - 1 - at
    this.#clock.now += 0.05
    if (nth < 0) return undefined
    this.#isReached = true
    if (nth >= length || !isPlausible(call, code)) return undefined
    if (call === 'write') return { code, part: at % 2 === 0 ? 0 : HALF }
    return call === 'fdatasync' && code !== 'EINTR' ? { code, kept: 0 } : { code }
  }
}
