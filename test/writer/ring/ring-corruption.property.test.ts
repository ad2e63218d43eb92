import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { closeSync, openSync, readSync } from 'node:fs'
import { createHistogram } from 'node:perf_hooks'
import type { EventName } from '../../../src/format/events'
import { Admission } from '../../../src/writer/caller/admission'
import type { Settle } from '../../../src/writer/caller/promise-queue'
import { Settlement } from '../../../src/writer/caller/settlement'
import { DrainLoop, IDLE } from '../../../src/writer/drain/drain-loop'
import { ioError } from '../../../src/writer/failure/audit-error'
import { EventEncoder, type RecordName } from '../../../src/writer/record/encode'
import * as layout from '../../../src/writer/record/record-layout'
import { REASON_CORRUPT_RECORD, REASON_CORRUPT_RING } from '../../../src/writer/ring/failure-word'
import { allocateMemory } from '../../../src/writer/ring/memory-map'
import { OVERSIZE_ID_OFFSET, OversizeStore } from '../../../src/writer/ring/oversize'
import * as header from '../../../src/writer/ring/record-header'
import { RingProducer } from '../../../src/writer/ring/ring'
import { AGENT_ID, MACHINE_ID, REQUEST_ID } from '../../support/events'
import { seededRandom } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'

const FLIPS = times('FLIPS', 5_000, 100_000)
const SCRIBBLES = times('SCRIBBLES', 2_000, 30_000)
const CAPACITY = 4096
const EVENTS_A_ROUND_MAX = 5
/** A round's records, each with a group and perhaps a stretch given up, need far fewer. */
const STEPS_MAX = 50
const READ_BYTES = 64 * 1024
const PATH = '/exec.log'
const WRITTEN = 'written'
const CORRUPT_RECORD = ioError({ stage: 'encode', reason: REASON_CORRUPT_RECORD }, PATH).message
const CORRUPT_RING = ioError({ stage: 'encode', reason: REASON_CORRUPT_RING }, PATH).message

const KEYS = {
  request:
    'event ts_unix_ms request_id agent_id machine_id argv matched_acl stdin_bytes timeout_ms',
  started: 'event ts_unix_ms request_id pid',
  warning: 'event ts_unix_ms request_id kind bytes',
  exit: 'event ts_unix_ms request_id code signal duration_ms stdout_bytes stderr_bytes truncated',
  denial: 'event ts_unix_ms request_id agent_id machine_id argv reason',
} as const

/** An event as a caller gives it, and its line. A reopen has none. */
interface Given {
  readonly name: RecordName
  readonly input: Record<string, unknown>
  readonly line: string
}

const TEXTS = ['', 'ls', 'ü', '😀', '"\\\n', '\u2028\ufeff', 'x'.repeat(90), '日本'.repeat(9)]

function given(name: EventName, fields: Record<string, unknown>): Given {
  const snake = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  const own = Object.entries(fields).map(([key, value]) => [snake(key), value])
  const line = { event: name, ts_unix_ms: 0, request_id: REQUEST_ID, ...Object.fromEntries(own) }
  return { name, input: { requestId: REQUEST_ID, ...fields }, line: `${JSON.stringify(line)}\n` }
}

/** Draws events of every kind, among them some that go beside the ring. */
function drawEvent(random: () => number): Given {
  const draw = (limit: number) => Math.floor(random() * limit)
  const parties = { agentId: AGENT_ID, machineId: MACHINE_ID }
  const argv = Array.from({ length: draw(5) }, () => TEXTS[draw(TEXTS.length)])
  const long = [...argv, '😀'.repeat(CAPACITY / 16)]
  const matchedAcl = draw(2) === 0 ? null : 'rule-1'
  const who = draw(2) === 0 ? {} : { context: { principal: TEXTS[draw(TEXTS.length)], ls: 'ls' } }
  const draws = [
    () => {
      const counts = { stdinBytes: draw(9), timeoutMs: draw(9) }
      return given('request', { ...parties, argv, matchedAcl, ...counts, ...who })
    },
    () => given('started', { pid: draw(2 ** 32) }),
    () => given('warning', { kind: 'cancelled', bytes: draw(2) === 0 ? null : draw(2 ** 40) }),
    () =>
      given('exit', {
        code: draw(2) === 0 ? null : draw(256),
        signal: null,
        durationMs: draw(2 ** 50),
        stdoutBytes: 0,
        stderrBytes: 1,
        truncated: draw(2) === 0,
      }),
    () => given('denial', { ...parties, argv, reason: 'argv_not_allowed', ...who }),
    () => given('denial', { ...parties, argv: long, reason: 'spawn_failed', ...who }),
    (): Given => ({ name: 'reopen', input: {}, line: '' }),
  ]
  return draws[draw(draws.length)]?.() ?? given('started', { pid: 0 })
}

/** A published event. */
interface Published extends Given {
  readonly position: number
  /** Where the bytes before the record begin that belong to no other: padding, if there was any. */
  readonly from: number
  readonly length: number
  readonly beside: header.RecordBytes | undefined
  /** WRITTEN, or the text of the error with which it has failed; undefined until it is settled. */
  readonly ack: { readonly outcome: string | undefined }
}

class NotingSettlement extends Settlement {
  lastPosition = 0
  override expect(position: number, settle: Settle): void {
    this.lastPosition = position
    super.expect(position, settle)
  }
}

/** Both ends of a ring on this thread, with a real file behind it. */
class Rig {
  readonly memory = allocateMemory(CAPACITY)
  readonly #producer = new RingProducer(this.memory.ring)
  readonly #settlement: NotingSettlement
  #failure = ''
  readonly #oversize = new OversizeStore()
  readonly #encoder = new EventEncoder({
    maxEventBytes: 2 ** 24,
    redact: undefined,
    clock: () => 0,
    withholdOnRedactError: false,
    onRedactError: () => undefined,
  })
  readonly #admission: Admission
  readonly #loop: DrainLoop
  readonly #fd: number
  readonly #read = Buffer.alloc(READ_BYTES)
  #offered: SharedArrayBuffer | undefined

  constructor(path: string) {
    closeSync(openSync(path, 'w'))
    this.#fd = openSync(path, 'r')
    const offer = ({ buffer }: { buffer: SharedArrayBuffer }) => {
      this.#offered = buffer
    }
    this.#settlement = this.#newSettlement()
    this.#admission = new Admission(
      this.#producer,
      this.#settlement,
      this.#oversize,
      offer,
      2 ** 20,
    )
    const config = {
      sink: {
        path,
        fileMode: 0o600,
        dirMode: 0o700,
        onUnsafeFile: 'warn',
        syncMethod: 'none',
        descriptorsOutlive: true,
      },
      maxEvents: 3,
      maxBytes: 2 ** 20,
      maxDelayMs: 0,
      retryForMs: 0,
      groupEvents: createHistogram(),
      syncNs: createHistogram(),
    } as const
    const noTornTail = () => {
      throw new Error('a line was torn')
    }
    this.#loop = new DrainLoop(config, this.#oversize, noTornTail, this.memory)
  }

  #newSettlement(): NotingSettlement {
    const note = (_: unknown, { message }: Error) => {
      this.#failure = message
    }
    const options = { path: PATH, success: WRITTEN, rejects: false } as const
    const reporter = { note, noteSuccess: () => undefined }
    const events = {
      onFreed: () => this.#admission.releaseBefore(this.#producer.headPosition),
      onMoved: () => undefined,
    }
    return new NotingSettlement(this.memory.ring, this.#producer, options, reporter, events)
  }

  close(): void {
    this.#loop.close()
    closeSync(this.#fd)
  }

  get tail(): number {
    return this.#producer.tailPosition
  }

  /** Publishes as many of the events as the ring takes at once. */
  publish(events: readonly Given[]): Published[] {
    const all: Published[] = []
    for (const event of events) {
      this.#encoder.prepare(event.name, event.input)
      const from = this.tail
      this.#offered = undefined
      const ack: { outcome: string | undefined } = { outcome: undefined }
      const settle: Settle = (outcome) => {
        ack.outcome = outcome === 'failed' ? this.#failure : outcome
      }
      if (!this.#admission.tryPublish(this.#encoder, settle)) break
      const position = this.#settlement.lastPosition
      const index = position & (CAPACITY - 1)
      const length = this.memory.ring.records.view.getUint32(index + header.LENGTH_OFFSET, true)
      const beside = this.#offered && header.recordBytes(this.#offered)
      all.push({ ...event, position, from, length, beside, ack })
    }
    return all
  }

  /** Drains until there is nothing to do; returns what the file has gained. */
  drain(): string {
    for (let steps = 0; ; steps++) {
      ok(steps < STEPS_MAX, 'the drain loop goes round in circles')
      const waitMs = this.#loop.step()
      this.#settlement.settle()
      if (waitMs === IDLE) break
      strictEqual(waitMs, 0)
    }
    strictEqual(this.#producer.usedBytes, 0)
    strictEqual(this.#admission.outsideUse.bytes, 0)
    const length = readSync(this.#fd, this.#read, 0, READ_BYTES, null)
    return this.#read.toString('utf8', 0, length)
  }
}

/** Whether this is one line of the log, newline included, with the keys of its event. */
function isOneLine(text: string): boolean {
  if (text.indexOf('\n') !== text.length - 1) return false
  const line: { event: keyof typeof KEYS; context?: unknown } = JSON.parse(text)
  const keys = KEYS[line.event]
  return keysOf(text) === (line.context === undefined ? keys : `${keys} context`)
}

function keysOf(text: string): string {
  return Object.keys(JSON.parse(text)).join(' ')
}

/**
 * What a flipped bit does to its event. `ring`: the length or the stamp contradicts the position, so
 * neither this record nor a later one can be found. `refused`: the record contradicts itself.
 * `undetected`: the bit is content, and there is no checksum over that: the event is refused where
 * the new value is impossible, and else stands in the log with it, as one whole line.
 */
type Effect = 'ring' | 'failed' | 'none' | 'refused' | 'undetected'

function effectInRing(published: Published, offset: number): Effect {
  const { name, beside, length } = published
  if (offset < header.FAILURE_OFFSET) return 'ring'
  if (offset < header.TYPE_OFFSET) return 'failed'
  if (offset >= length) return 'none'
  if (name === 'reopen') return offset === header.TYPE_OFFSET ? 'refused' : 'none'
  if (beside === undefined) return effectInRecord(published, offset)
  return offset >= OVERSIZE_ID_OFFSET || offset === header.TYPE_OFFSET ? 'refused' : 'none'
}

function effectInRecord({ name, input }: Given, offset: number): Effect {
  if (offset < header.TYPE_OFFSET) return 'none'
  if (offset === header.TYPE_OFFSET) return 'refused'
  if (name !== 'request' && name !== 'denial') return 'undetected'
  const isCount = offset >= layout.TEXT_BYTES_OFFSET && offset < layout.REQUEST_STDIN_OFFSET
  const strings = [input.argv, input.matchedAcl ?? []].flat().length
  const texts = layout.STRING_LENGTHS_OFFSET + strings * layout.STRING_LENGTH_BYTES
  const isShape = offset >= layout.SHAPE_OFFSET && offset < texts
  return isCount || isShape || offset === header.FLAGS_OFFSET ? 'refused' : 'undetected'
}

/**
 * Whether the event's reference names the record of another, of the same length, now: then that one's
 * line stands in the log for it, since there is no checksum over the id.
 */
function isTakenForAnother(
  { memory }: Rig,
  event: Published,
  events: readonly Published[],
): boolean {
  const { view } = memory.ring.records
  const idOf = ({ position }: Published) =>
    view.getUint32((position & (CAPACITY - 1)) + OVERSIZE_ID_OFFSET, true)
  const bytesOf = ({ beside }: Published) => beside?.bytes.length
  const others = events.filter((other) => other !== event && bytesOf(other) === bytesOf(event))
  return event.beside !== undefined && others.some((other) => idOf(other) === idOf(event))
}

/** Flips one bit of what was published; returns which event it belongs to and what must come of it. */
function flipOneBit(
  rig: Rig,
  events: readonly Published[],
  random: () => number,
): { hit: number; effect: Effect } {
  const draw = (limit: number) => Math.floor(random() * limit)
  const hit = draw(events.length)
  const event = events[hit]
  ok(event !== undefined)
  const flip = ({ view }: header.RecordBytes, at: number) =>
    view.setUint8(at, view.getUint8(at) ^ (1 << draw(8)))
  if (event.beside !== undefined && draw(2) === 0) {
    const offset = draw(event.beside.bytes.length)
    flip(event.beside, offset)
    return { hit, effect: effectInRecord(event, offset) }
  }
  const padding = event.position - event.from
  const at = draw(padding + header.align(event.length))
  flip(rig.memory.ring.records, (event.from + at) & (CAPACITY - 1))
  if (at >= padding) {
    const isUndetected = isTakenForAnother(rig, event, events)
    return { hit, effect: isUndetected ? 'undetected' : effectInRing(event, at - padding) }
  }
  return { hit, effect: at < header.FAILURE_OFFSET ? 'ring' : 'none' }
}

const linesOf = (events: readonly Given[]) => events.map(({ line }) => line).join('')

/** Checks what became of the events of a round, of which one was hit. */
function judge(events: readonly Published[], hit: number, effect: Effect, found: string): void {
  const before = events.slice(0, hit)
  const event = events[hit]
  const after = events.slice(hit + 1)
  ok(event !== undefined)
  deepStrictEqual(new Set(before.map(({ ack }) => ack.outcome)), new Set(before.map(() => WRITTEN)))
  if (effect === 'ring') {
    const lost = [event, ...after]
    deepStrictEqual(new Set(lost.map(({ ack }) => ack.outcome)), new Set([CORRUPT_RING]))
    strictEqual(found, linesOf(before))
    return
  }
  deepStrictEqual(new Set(after.map(({ ack }) => ack.outcome)), new Set(after.map(() => WRITTEN)))
  const [prefix, suffix] = [linesOf(before), linesOf(after)]
  ok(found.startsWith(prefix) && found.endsWith(suffix), 'another event was touched')
  const own = found.slice(prefix.length, found.length - suffix.length)
  if (effect === 'none') deepStrictEqual([event.ack.outcome, own], [WRITTEN, event.line])
  else if (effect === 'failed')
    deepStrictEqual([event.ack.outcome !== WRITTEN, own], [true, event.line])
  else if (effect === 'refused' || own === '')
    deepStrictEqual([event.ack.outcome, own], [CORRUPT_RECORD, ''])
  else {
    deepStrictEqual([event.ack.outcome, isOneLine(own)], [WRITTEN, true])
    // What a field says may have changed, and never which field it is.
    ok(events.some(({ line }) => line !== '' && keysOf(line) === keysOf(own)))
  }
}

describe('a ring whose bytes were changed before they were drained', () => {
  const dir = useTempDir()

  const inRounds = (rounds: number, round: (rig: Rig, random: () => number) => void) => {
    const random = seededRandom()
    const rig = new Rig(dir.path('exec.log'))
    for (let i = 0; i < rounds; i++) round(rig, random)
    rig.close()
  }
  const publish = (rig: Rig, random: () => number) => {
    const count = 1 + Math.floor(random() * EVENTS_A_ROUND_MAX)
    return rig.publish(Array.from({ length: count }, () => drawEvent(random)))
  }

  it('by one bit fails the event or all that follow, or leaves one whole line for it', () => {
    const met: Record<Effect, number> = { ring: 0, failed: 0, none: 0, refused: 0, undetected: 0 }
    inRounds(FLIPS, (rig, random) => {
      const events = publish(rig, random)
      const { hit, effect } = flipOneBit(rig, events, random)
      met[effect]++
      judge(events, hit, effect, rig.drain())
    })
    expect(Math.min(...Object.values(met))).toBeGreaterThan(FLIPS / 200)
  })

  it('by a stretch of random bytes settles every event, and leaves whole lines alone', () => {
    inRounds(SCRIBBLES, (rig, random) => {
      const start = rig.tail
      const events = publish(rig, random)
      const used = rig.tail - start
      const from = Math.floor(random() * used)
      const to = from + 1 + Math.floor(random() * (used - from))
      for (let at = from; at < to; at++) {
        rig.memory.ring.records.bytes[(start + at) & (CAPACITY - 1)] = Math.floor(random() * 256)
      }
      const found = rig.drain()
      const untouched = events.filter((e) => e.position - start + e.length <= from)
      deepStrictEqual(
        new Set(untouched.map(({ ack }) => ack.outcome)),
        new Set(untouched.map(() => WRITTEN)),
      )
      ok(found.startsWith(linesOf(untouched)))
      const lines = found.match(/[^\n]*\n/g) ?? []
      strictEqual(lines.join(''), found)
      ok(lines.every(isOneLine))
      // None is acknowledged as safe that has no line.
      const safe = events.filter(({ name, ack }) => ack.outcome === WRITTEN && name !== 'reopen')
      ok(safe.length <= lines.length, `${safe.length} acknowledged, ${lines.length} written`)
      ok(events.every(({ ack }) => ack.outcome !== undefined))
    })
  })
})
