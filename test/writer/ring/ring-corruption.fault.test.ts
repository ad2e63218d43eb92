import { readFileSync } from 'node:fs'
import {
  STRING_LENGTH_BYTES,
  STRING_LENGTHS_OFFSET,
} from '../../../src/writer/record/record-layout'
import {
  DURABLE,
  JOURNAL_DESCRIPTOR,
  JOURNAL_PROBE,
  JOURNAL_STATE,
  OPEN_DESCRIPTOR,
  OPEN_FOLDER,
  OPEN_PROBE,
} from '../../../src/writer/ring/memory-map'
import { OVERSIZE_ID_OFFSET } from '../../../src/writer/ring/oversize'
import { type ChildEnd, runChild } from '../../support/children/run-child'
import { CATCH_RINGS, OFFSETS } from '../../support/children/worker-scripts'
import { startedLine, startedLines } from '../../support/events'
import { drawSeed } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'

const SCRIBBLE_MS = times('SCRIBBLE_MS', 1_500, 4_000)
const HAMMER_ROUNDS = times('HAMMER_ROUNDS', 200, 300)
const RING_BYTES = 16 * 1024
const LARGE_RING_BYTES = 1024 * 1024
/** Only a writer that hangs reaches it: it must not after damage among the records. */
const HANG_MS = 20_000
/** After damage among the control words it may hang, and mostly does. */
const EXPECTED_HANG_MS = 1_000
/**
 * The control words that are left alone: descriptors' numbers. If one is changed, the writer closes or
 * writes another file of the process, and nothing it does could detect that.
 */
const SPARED = [
  JOURNAL_STATE,
  JOURNAL_DESCRIPTOR,
  JOURNAL_PROBE,
  OPEN_DESCRIPTOR,
  OPEN_PROBE,
  OPEN_FOLDER,
].map((word) => OFFSETS.journal + word * Int32Array.BYTES_PER_ELEMENT)
/** The distance of two control words, in bytes; they end where the 64-bit words start. */
const STRIDE_BYTES = (OPEN_FOLDER - OPEN_PROBE) * Int32Array.BYTES_PER_ELEMENT
const CONTROL_BYTES = OFFSETS.journal + OPEN_FOLDER * Int32Array.BYTES_PER_ELEMENT + STRIDE_BYTES

/**
 * Keeps events in flight and writes random bytes to `offsets` of the ring between the calls, for some time
 * and until `isEnough`.
 */
const scribbleScript = (seed: number, offsets: string, isEnough: string, hangMs: number) => `
let state = ${seed}
const draw = (limit) => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0
  return Math.floor((state / 2 ** 32) * limit)
}
const ids = { requestId, agentId: '11'.repeat(32), machineId: '22'.repeat(32) }
const parties = { ...ids, matchedAcl: null, timeoutMs: 0 }
const audit = open({ ringBytes: ${RING_BYTES}, drainOnExit: false, logger: { warn() {} } })
const ring = new Uint8Array(ringOf(${RING_BYTES}))
const offsets = ${offsets}
const outcomes = { durable: 0, failed: 0 }
let pending = 0
let sent = 0
const send = () => {
  pending++
  audit.request({ ...parties, argv: ['ü😀'.repeat(1 + (sent % 9))], stdinBytes: sent++ }).then((outcome) => {
    pending--
    outcomes[outcome]++
  })
}
const run = async () => {
  // The worker runs, and the file is there.
  send()
  await audit.drain()
  const end = performance.now() + ${SCRIBBLE_MS}
  while (performance.now() < end || !(${isEnough})) {
    while (pending < 300) send()
    for (let i = draw(200); i > 0; i--) ring[offsets(draw)] = draw(256)
    await turn()
  }
  const drained = await endsWithin(audit.drain(), ${hangMs})
  const closed = await endsWithin(audit.close(), ${hangMs})
  // In a file of its own: a writer that hangs may still be writing.
  const policy = { enabled: true, auditLogPath: path + '.next' }
  const next = new ExecAudit(policy, new ExecDiagnostics(), { clock: () => 0 })
  const after = await Promise.all([0, 1, 2].map((pid) => next.started({ requestId, pid })))
  await next.close()
  console.log(JSON.stringify({ drained, closed, outcomes, sent, after }))
  // A writer that hangs is reported above.
  process.exit()
}
run()
`

interface Report {
  readonly drained: string
  readonly closed: string
  readonly outcomes: { readonly durable: number; readonly failed: number }
  readonly sent: number
  readonly after: readonly string[]
}

describe('a ring that something else writes random bytes into', () => {
  const dir = useTempDir()
  const scribble = (offsets: string, isEnough: string, hangMs: number): Promise<ChildEnd> => {
    const script = scribbleScript(drawSeed(), offsets, isEnough, hangMs)
    return runChild(script, [dir.path('exec.log')], [], CATCH_RINGS)
  }
  const reportOf = ({ code, signal, stdout, stderr }: ChildEnd): Report => {
    expect([code, signal, stderr]).toEqual([0, null, ''])
    return JSON.parse(stdout)
  }
  /** The log's lines, once the line of the next writer has turned out to be whole. */
  const linesOf = () => {
    expect(readFileSync(dir.path('exec.log.next'), 'utf8')).toBe(startedLines(3))
    return readFileSync(dir.path('exec.log'), 'utf8').split('\n').slice(0, -1)
  }

  it('among its records, while the worker drains, settles all and acknowledges only written events', async () => {
    const report = reportOf(
      await scribble(
        `(draw) => ring.length - ${RING_BYTES} + draw(${RING_BYTES})`,
        // No limit of its own: the machine may stand still.
        'outcomes.failed > 0',
        HANG_MS,
      ),
    )
    const { drained, closed, outcomes, sent, after } = report
    expect({ drained, closed, after }).toEqual({
      drained: 'ended',
      closed: 'ended',
      after: ['durable', 'durable', 'durable'],
    })
    expect(outcomes.durable + outcomes.failed).toBe(sent)
    expect(Math.min(outcomes.durable, outcomes.failed)).toBeGreaterThan(0)
    const lines = linesOf()
    const numbers = lines.map((line): unknown => JSON.parse(line).ts_unix_ms)
    expect(numbers.every(Number.isSafeInteger)).toBe(true)
    expect(lines.length).toBeGreaterThanOrEqual(outcomes.durable)
  })

  it('within texts that are just being decoded does not crash the process', async () => {
    // The text keeps changing between one and two bytes per character: a decoder that counts and then
    // copies the ring's own bytes writes beyond its allocation.
    const script = `
const RING_BYTES = ${LARGE_RING_BYTES}
const RECORD_BYTES = RING_BYTES / 8
const audit = open({ ringBytes: RING_BYTES, fsync: { method: 'none' }, logger: { warn() {} } })
const ring = ringOf(RING_BYTES)
const records = Buffer.from(ring, ring.byteLength - RING_BYTES)
const ids = { requestId, agentId: '11'.repeat(32), machineId: '22'.repeat(32) }
const argv = ['a'.repeat(RECORD_BYTES - ${STRING_LENGTHS_OFFSET + STRING_LENGTH_BYTES})]
const event = { ...ids, argv, reason: 'spawn_failed' }
const outcomes = { written: 0, failed: 0 }
const run = async () => {
  for (let round = 0; round < ${HAMMER_ROUNDS}; round++) {
    const events = Array.from({ length: 8 }, () => audit.denial(event))
    for (const stop = performance.now() + 8; performance.now() < stop; ) {
      for (let at = 0; at < RING_BYTES; at += RECORD_BYTES) {
        records.fill('é', at + 1000, at + RECORD_BYTES)
        records.fill('a', at + 1000, at + RECORD_BYTES)
      }
    }
    for (const outcome of await Promise.all(events)) outcomes[outcome]++
  }
  await audit.close()
  console.log(JSON.stringify(outcomes))
}
run()
`
    const end = await runChild(script, [dir.path('exec.log')], [], CATCH_RINGS)
    expect([end.code, end.signal, end.stderr]).toEqual([0, null, ''])
    const { written } = JSON.parse(end.stdout)
    const lines = readFileSync(dir.path('exec.log'), 'utf8').split('\n').slice(0, -1)
    expect(lines.length).toBe(written)
    for (const line of lines) expect(JSON.parse(line).event).toBe('denial')
  })

  it('among its control words does not crash the process, nor the writer after it', async () => {
    const words = Array.from({ length: CONTROL_BYTES / STRIDE_BYTES }, (_, i) => i * STRIDE_BYTES)
    const targets = words.filter((word) => !SPARED.includes(word))
    const offsets = `(draw) => ${JSON.stringify(targets)}[draw(${targets.length})] + draw(4)`
    const { after } = reportOf(await scribble(offsets, 'true', EXPECTED_HANG_MS))
    expect(after).toEqual(['durable', 'durable', 'durable'])
    for (const line of linesOf()) {
      expect(JSON.parse(line)).toMatchObject({ event: 'request' })
    }
  })

  it('so that it claims events that were never written acknowledges nothing, and the process ends', async () => {
    const script = `
const audit = open({ ringBytes: ${RING_BYTES}, logger: { warn() {} } })
const ring = ringOf(${RING_BYTES})
const outcomes = whileNobodyDrains(ring, () => {
  const calls = [0, 1, 2].map((pid) => audit.started({ requestId, pid }))
  Atomics.add(new Int32Array(ring), ${DURABLE}, 2 ** 20)
  return calls
})
Promise.all(outcomes).then(async (settled) => {
  await audit.close()
  console.log(settled.join())
})
`
    const wrapper = ['timeout', String(HANG_MS / 1_000)]
    const end = await runChild(script, [dir.path('exec.log')], wrapper, CATCH_RINGS)
    expect([end.code, end.stderr, end.stdout]).toEqual([0, '', 'failed,failed,failed\n'])
  })

  it('into the reference to a large event loses that event and no other large one', async () => {
    const script = `
const warnings = []
const audit = open({ ringBytes: ${RING_BYTES}, logger: { warn: ({ code }) => warnings.push(code) } })
const ids = { requestId, agentId: '11'.repeat(32), machineId: '22'.repeat(32) }
const large = (letter) => audit.denial({ ...ids, argv: [letter.repeat(${RING_BYTES})], reason: 'spawn_failed' })
const ring = ringOf(${RING_BYTES})
const outcomes = whileNobodyDrains(ring, () => {
  const calls = [large('a'), large('b'), large('c'), audit.started({ requestId, pid: 0 })]
  // The first record is the reference to the first event.
  const id = new DataView(ring, ring.byteLength - ${RING_BYTES} + ${OVERSIZE_ID_OFFSET})
  id.setUint32(0, id.getUint32(0, true) ^ (1 << 31), true)
  return calls
})
Promise.all(outcomes).then(async (settled) => {
  await audit.close()
  console.log(JSON.stringify({ settled, warnings }))
})
`
    const end = await runChild(script, [dir.path('exec.log')], [], CATCH_RINGS)
    expect([end.code, end.stderr, JSON.parse(end.stdout)]).toEqual([
      0,
      '',
      { settled: ['failed', 'durable', 'durable', 'durable'], warnings: ['AUDIT_ENCODE_FAILED'] },
    ])
    const lines = readFileSync(dir.path('exec.log'), 'utf8').split('\n')
    expect(lines.slice(0, 2).map((line): unknown => JSON.parse(line).argv)).toEqual([
      ['b'.repeat(RING_BYTES)],
      ['c'.repeat(RING_BYTES)],
    ])
    expect(`${lines[2]}\n`).toBe(startedLine(0))
    expect(lines.slice(3)).toEqual([''])
  })
})
