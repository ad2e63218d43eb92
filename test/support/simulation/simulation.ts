import { strict as assert } from 'node:assert'
import { AGENT_ID, MACHINE_ID } from '../events'
import { Random } from '../random'
import { type Call, type Fault, SimulatedDisk } from './disk'
import { FolderNode } from './inodes'
import { checkFiles, type Run } from './invariants'
import { OtherProcesses } from './other-processes'
import { type SimulatedClock, SimulatedThread, simulate } from './thread'
import { PowerCut, SimulatedWriter, type WriterSettings } from './writer'

/** Counts of one run. */
export interface Tally {
  events: number
  durable: number
  deaths: number
  failedCalls: number
  interventions: number
  powerCuts: number
  calls: number
}

const PATH = '/var/log/audit/exec.log'
const CALL_MS = 0.05
const STEPS_MAX = 5_000
const EVENTS_AFTER_POWER_CUT = 3

/** The errors that each call may meet. */
export const ERRNOS: Readonly<Record<Call, readonly [string, ...string[]]>> = {
  open: ['EIO', 'EMFILE', 'ENOSPC', 'EROFS', 'EDQUOT', 'EINTR'],
  write: ['ENOSPC', 'EIO', 'EDQUOT', 'EROFS', 'EINTR'],
  fdatasync: ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EINTR'],
  fsync: ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS'],
  stat: ['EIO'],
  fstat: ['EIO'],
  read: ['EIO', 'EINTR'],
  close: ['EIO', 'EINTR', 'ENOSPC', 'EDQUOT'],
  mkdir: ['ENOSPC', 'EROFS', 'EIO', 'EDQUOT'],
  chmod: ['EROFS', 'EIO'],
  fchmod: ['EROFS', 'EIO'],
}

/** The probabilities of a run's faults. */
interface Odds {
  /** Probability that a call fails. */
  readonly faults: number
  /** Probability that somebody touches the files before a call. */
  readonly others: number
  /** Probability that a death is planned when a drainer begins. */
  readonly deaths: number
  /** Probability that a thread at rest hands over. */
  readonly handOvers: number
  /** A time in which all calls of one kind fail, in milliseconds. */
  readonly outage: { readonly call: Call; readonly from: number; readonly to: number }
}

/** One run: everything that happens in it follows from its seed. */
export class Simulation {
  readonly #random: Random
  readonly #clock: SimulatedClock = { now: 0 }
  readonly #odds: Odds
  readonly #thread = new SimulatedThread((call) => this.#beforeCall(call))
  readonly #disk = new SimulatedDisk(this.#thread)
  readonly #others: OtherProcesses
  readonly #settings: WriterSettings
  readonly #tally: Tally = {
    events: 0,
    durable: 0,
    deaths: 0,
    failedCalls: 0,
    interventions: 0,
    powerCuts: 0,
    calls: 0,
  }
  #isCalm = false
  #nextEvent = 1

  constructor(seed: number) {
    const random = new Random(seed)
    this.#random = random
    const from = random.below(20)
    this.#odds = {
      faults: random.pick([0, 0, 0.01, 0.05, 0.2]),
      others: random.pick([0, 0, 0.01, 0.05]),
      deaths: random.pick([0, 0.3, 0.7]),
      handOvers: random.pick([0, 0, 0.1]),
      outage: {
        call: random.pick(['open', 'write', 'fdatasync', 'fsync', 'mkdir', 'fstat']),
        from,
        to: random.chance(0.3) ? from + random.below(100) : from,
      },
    }
    const capacity = random.pick([1024, 1024, 2048, 4096, 65_536])
    this.#settings = {
      path: PATH,
      capacity,
      initialPosition: random.pick([
        0,
        2 ** 31 - 8 * random.below(200),
        2 ** 32 - 8 * random.below(200),
      ]),
      maxEvents: random.pick([1, 2, 5, 1_000]),
      maxBytes: random.pick([300, 2_000, 1 << 20]),
      maxDelayMs: random.pick([0, 0, 3]),
      retryForMs: random.pick([0, 20, 1_000]),
      descriptorsOutlive: random.chance(0.7),
    }
    this.#disk.umask = random.pick([0o022, 0o777])
    this.#others = new OtherProcesses(this.#disk, PATH, random)
    this.#makeFolders()
  }

  /** The calls and faults so far, one per line. */
  get trace(): readonly string[] {
    return this.#disk.trace
  }

  /** Runs it; throws if a promise is broken. */
  run(): Tally {
    return simulate(this.#disk, this.#thread, this.#clock, () => {
      const runs = [this.#runWriter(this.#random.below(30) + 1)]
      if (this.#tally.powerCuts > 0) {
        this.#isCalm = true
        this.#thread.isPowerCut = false
        this.#thread.replace()
        runs.push(this.#runWriter(EVENTS_AFTER_POWER_CUT))
      }
      checkFiles(this.#disk, runs)
      const events = runs.flatMap((run) => run.events)
      this.#tally.events = events.length
      this.#tally.durable = events.filter(({ outcome }) => outcome === 'durable').length
      this.#tally.interventions = this.#others.touchedAt.length
      this.#tally.calls = this.#disk.calls
      return this.#tally
    })
  }

  #makeFolders(): void {
    const random = this.#random
    let folder = this.#disk.root
    for (const name of ['var', 'log', 'audit'].slice(0, random.below(4))) {
      const made = new FolderNode(BigInt(this.#disk.files.length + 1), 0o755)
      folder.add(name, made)
      folder.sync()
      folder = made
    }
  }

  #runWriter(events: number): Run {
    const writer = new SimulatedWriter(this.#settings, this.#disk, this.#thread)
    this.#others.events = writer.events
    const isCut = !this.#isCalm && this.#random.chance(0.2)
    if (isCut) {
      this.#thread.isPowerCut = true
      this.#thread.pointsLeft = 1 + this.#random.below(events * 12)
    }
    try {
      this.#drive(writer, events)
      this.#thread.pointsLeft = Number.POSITIVE_INFINITY
      writer.close()
    } catch (thrown) {
      if (!(thrown instanceof PowerCut)) throw thrown
      this.#tally.powerCuts++
      this.#disk.cutPower(this.#random)
    }
    this.#tally.deaths += writer.deaths
    const { reported, unreported, unansweredProbes } = writer
    const excusedAt = [
      ...this.#others.touchedAt,
      ...this.#disk.failedSyncs,
      ...this.#disk.breakages,
      ...unansweredProbes,
    ]
    const isQuiet = this.#others.touchedAt.length === 0 && this.#tally.powerCuts === 0
    return { events: writer.events, reported, unreported, excusedAt, isQuiet }
  }

  #drive(writer: SimulatedWriter, events: number): void {
    const random = this.#random
    for (let steps = 0; writer.events.length < events || !writer.isSettled; steps++) {
      assert(steps < STEPS_MAX, 'no end in sight')
      const isAllSubmitted = writer.events.length >= events
      if (isAllSubmitted && steps % 8 === 0) writer.flush()
      if (!isAllSubmitted && random.chance(0.4)) this.#submitBurst(writer, events)
      if (random.chance(0.5)) writer.settle()
      this.#disturb(writer)
      if (writer.role === undefined) this.#beginDrainer(writer)
      else this.#step(writer)
    }
  }

  /** The disturbances between two steps. */
  #disturb(writer: SimulatedWriter): void {
    const random = this.#random
    const { others, handOvers, deaths } = this.#odds
    if (this.#isCalm) return
    if (random.chance(others * 0.3)) this.#others.tear()
    else if (random.chance(others)) this.#others.act()
    if (writer.role === 'worker' && random.chance(deaths * 0.03)) writer.endWorker()
    if (!writer.isAtRest || !random.chance(handOvers)) return
    if (writer.role !== undefined && random.chance(0.5)) writer.closeLoop(writer.role)
    writer.role = undefined
  }

  #beginDrainer(writer: SimulatedWriter): void {
    const random = this.#random
    const isMortal = !this.#thread.isPowerCut && !this.#isCalm
    if (isMortal && random.chance(this.#odds.deaths)) {
      this.#thread.pointsLeft = 1 + random.below(random.pick([8, 30, 150]))
    }
    writer.takeOver(random.chance(0.75) ? 'worker' : 'caller')
  }

  #step(writer: SimulatedWriter): void {
    const waitMs = writer.step()
    if (waitMs > 0 && Number.isFinite(waitMs))
      this.#clock.now += waitMs * this.#random.pick([0.5, 1, 1])
  }

  #submitBurst(writer: SimulatedWriter, events: number): void {
    const random = this.#random
    const count = Math.min(events - writer.events.length, 1 + random.below(random.pick([1, 4, 12])))
    for (let i = 0; i < count; i++) this.#submit(writer)
  }

  #submit(writer: SimulatedWriter): void {
    const random = this.#random
    const index = this.#nextEvent++
    const requestId = index.toString(16).padStart(32, '0')
    if (random.chance(0.05)) writer.reopen()
    else if (random.chance(0.5)) writer.started(index, requestId)
    else this.#submitRequest(writer, index, requestId)
  }

  #submitRequest(writer: SimulatedWriter, index: number, requestId: string): void {
    const random = this.#random
    const length = random.below(random.pick([20, 20, 200, 2_000]))
    writer.request({
      requestId,
      agentId: AGENT_ID,
      machineId: MACHINE_ID,
      argv: ['ls', 'é'.repeat(length), '"\n'],
      matchedAcl: random.chance(0.5) ? 'rule' : null,
      stdinBytes: index,
      timeoutMs: 1,
    })
  }

  #beforeCall(call: Call): Fault | undefined {
    const random = this.#random
    this.#clock.now += CALL_MS
    if (this.#isCalm) return undefined
    // Nothing is promised about a change between the last look at the path and the outcome.
    if (call !== 'close' && random.chance(this.#odds.others)) this.#others.act()
    const { outage, faults } = this.#odds
    const { now } = this.#clock
    const isOut = call === outage.call && now >= outage.from && now < outage.to
    if (!isOut && !random.chance(faults)) return undefined
    this.#tally.failedCalls++
    const code = random.pick(ERRNOS[call])
    if (call === 'write') {
      const part = random.pick([0, 0, 0.1, 0.5, 0.97, random.next()])
      return { code, part, isBrief: random.chance(0.2) }
    }
    if (call !== 'fdatasync' || code === 'EINTR') return { code }
    return { code, kept: random.pick([0, 0, 1, random.next()]) }
  }
}
