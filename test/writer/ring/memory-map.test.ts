import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as layout from '../../../src/writer/ring/memory-map'
import { SYNC_LIMITS_NS } from '../../../src/writer/ring/sync-buckets'

const CACHE_LINE_PAIR_BYTES = 128
const CAPACITY = 1024

const SOURCE = readFileSync(join(__dirname, '../../../src/writer/ring/memory-map.ts'), 'utf8')
/** The control words as the source numbers them. */
const NUMBERED = [...SOURCE.matchAll(/^export const (\w+) = (\d+) \* CONTROL_WORD_STRIDE$/gm)]
/** The same as its table explains them. */
const EXPLAINED = [...SOURCE.matchAll(/^ \* \| ([A-Z_]+) /gm)].map(([, name]) => name)
const CONTROL_WORDS = NUMBERED.map(([, name = '']) => Number(Reflect.get(layout, name)))

const COUNTERS = [
  layout.COUNT_GROUPS,
  layout.COUNT_SYNCS,
  layout.COUNT_BYTES,
  layout.COUNT_OPENS,
  layout.COUNT_TORN_TAILS,
  layout.COUNT_RETRIES,
  layout.JOURNAL_DEVICE,
  layout.JOURNAL_INODE,
  layout.JOURNAL_OFFSET,
  layout.COUNT_ROTATIONS,
  layout.COUNT_SYNC_NS,
  layout.LAST_SUCCESS_AT,
  layout.FILE_END,
  ...SYNC_LIMITS_NS.map((_, bucket) => layout.SYNC_BUCKETS + bucket),
]

/** A field's first byte in its record, and how many bytes it takes. */
type Field = readonly [offset: number, byteLength: number]

const HEADER: readonly Field[] = [
  [layout.LENGTH_OFFSET, 4],
  [layout.SEAL_OFFSET, 4],
  [layout.FAILURE_OFFSET, 4],
  [layout.TYPE_OFFSET, 1],
  [layout.FLAGS_OFFSET, 1],
  [layout.CODE_OFFSET, 1],
  [layout.TIME_OFFSET, 8],
  [layout.REQUEST_ID_OFFSET, layout.REQUEST_ID_BYTES],
]

const RECORDS: readonly (readonly [name: string, fields: readonly Field[], byteLength: number])[] =
  [
    ['header', [], layout.RECORD_HEADER_BYTES],
    ['started', [[layout.STARTED_PID_OFFSET, 4]], layout.STARTED_BYTES],
    ['warning', [[layout.WARNING_BYTES_OFFSET, 8]], layout.WARNING_BYTES],
    [
      'exit',
      [
        [layout.EXIT_CODE_OFFSET, 4],
        [layout.EXIT_SIGNAL_OFFSET, 4],
        [layout.EXIT_DURATION_OFFSET, 8],
        [layout.EXIT_STDOUT_OFFSET, 8],
        [layout.EXIT_STDERR_OFFSET, 8],
      ],
      layout.EXIT_BYTES,
    ],
    [
      'request',
      [
        [layout.AGENT_ID_OFFSET, layout.PARTY_ID_BYTES],
        [layout.MACHINE_ID_OFFSET, layout.PARTY_ID_BYTES],
        [layout.TEXT_BYTES_OFFSET, 4],
        [layout.STRING_COUNT_OFFSET, 4],
        [layout.REQUEST_STDIN_OFFSET, 8],
        [layout.REQUEST_TIMEOUT_OFFSET, 4],
      ],
      layout.STRING_LENGTHS_OFFSET,
    ],
    [
      'oversize',
      [
        [layout.OVERSIZE_ID_OFFSET, 4],
        [layout.OVERSIZE_LENGTH_OFFSET, 4],
      ],
      layout.OVERSIZE_BYTES,
    ],
  ]

/** The bytes that more than one field claims. */
function sharedBytes(fields: readonly Field[]): number[] {
  const bytes = fields.flatMap(([offset, length]) => Array.from({ length }, (_, i) => offset + i))
  return bytes.filter((byte, i) => bytes.indexOf(byte) !== i)
}

describe('the memory map', () => {
  const memory = layout.allocateRing(CAPACITY)

  it('gives each control word a pair of cache lines of its own', () => {
    const wordsInLine = CACHE_LINE_PAIR_BYTES / Int32Array.BYTES_PER_ELEMENT
    const lines = CONTROL_WORDS.map((word) => word / wordsInLine)
    // No two alike, none left out, and none beyond the area.
    expect(lines).toEqual(lines.map((_, line) => line))
    expect(memory.control.length).toBe(lines.length * wordsInLine)
  })

  it('explains each control word, in the order of their numbers', () => {
    expect(NUMBERED.map(([, name, number]) => [name, number])).toEqual(
      EXPLAINED.map((name, i) => [name, String(i)]),
    )
  })

  it('is drawn as it is', () => {
    const [, words, stride] = /\| (\d+) x (\d+) bytes/.exec(SOURCE) ?? []
    expect([Number(words), Number(stride)]).toEqual([CONTROL_WORDS.length, CACHE_LINE_PAIR_BYTES])
    const [, counters, counterBytes] = /\| (\d+) x (\d) bytes/.exec(SOURCE) ?? []
    expect([Number(counters), Number(counterBytes)]).toEqual([
      memory.counters.length,
      BigInt64Array.BYTES_PER_ELEMENT,
    ])
  })

  it('gives each counter a word of its own, inside the counters', () => {
    expect(new Set(COUNTERS).size).toBe(COUNTERS.length)
    expect(COUNTERS.filter((word) => word < 0 || word >= memory.counters.length)).toEqual([])
  })

  it('lays control words, counters and record area end to end', () => {
    const { control, counters, records, buffer } = memory
    expect(control.byteOffset).toBe(0)
    expect(counters.byteOffset).toBe(control.byteLength)
    expect(records.view.byteOffset).toBe(counters.byteOffset + counters.byteLength)
    expect(records.bytes.byteOffset).toBe(records.view.byteOffset)
    expect(records.bytes.byteLength).toBe(CAPACITY)
    expect(records.view.byteOffset + records.view.byteLength).toBe(buffer.byteLength)
  })

  it('shows the same memory to each thread that views it', () => {
    const other = layout.viewRing(memory.buffer)
    other.control[layout.TAIL] = 7
    other.counters[layout.JOURNAL_OFFSET] = 8n
    other.records.bytes[CAPACITY - 1] = 9
    expect(other.capacity).toBe(CAPACITY)
    expect(memory.control[layout.TAIL]).toBe(7)
    expect(memory.counters[layout.JOURNAL_OFFSET]).toBe(8n)
    expect(memory.records.view.getUint8(CAPACITY - 1)).toBe(9)
  })
})

describe('allocateRing', () => {
  it.each([0, 2 ** 31, 2 ** 32 - 8])(
    'starts every position at %d, with no descriptor and all else at 0',
    (start) => {
      const { control, counters } = layout.allocateRing(CAPACITY, start)
      const positions = [layout.TAIL, layout.HEAD, layout.READ, layout.DURABLE, layout.HURRY]
      expect(positions.map((word) => control[word])).toEqual(positions.map(() => start | 0))
      expect(layout.DESCRIPTOR_WORDS.map((word) => control[word])).toEqual([-1, -1, -1, -1])
      const set: number[] = [...positions, ...layout.DESCRIPTOR_WORDS]
      const others = [...control].filter((_, word) => !set.includes(word))
      expect(others.filter((value) => value !== 0)).toEqual([])
      expect([...counters].filter((value) => value !== 0n)).toEqual([])
    },
  )

  it.each([0, -1024, 1023, 1536])('refuses a capacity of %d', (capacity) => {
    const expected = new RangeError(`capacity=${capacity} is not a power of two from 2^10 to 2^30`)
    expect(() => layout.allocateRing(capacity)).toThrow(expected)
  })
})

describe('records', () => {
  it.each(RECORDS)('has no overlapping fields in %s', (_name, fields, byteLength) => {
    const all = [...HEADER, ...fields]
    expect(sharedBytes(all)).toEqual([])
    expect(Math.max(...all.map(([offset, length]) => offset + length))).toBeLessThanOrEqual(
      byteLength,
    )
  })

  it('places the three ids in one run', () => {
    expect(layout.AGENT_ID_OFFSET).toBe(layout.REQUEST_ID_OFFSET + layout.REQUEST_ID_BYTES)
    expect(layout.MACHINE_ID_OFFSET).toBe(layout.AGENT_ID_OFFSET + layout.PARTY_ID_BYTES)
    expect(layout.ALL_IDS_BYTES).toBe(80)
  })

  it('numbers the types apart, none of them 0', () => {
    const types = [
      layout.TYPE_REQUEST,
      layout.TYPE_STARTED,
      layout.TYPE_WARNING,
      layout.TYPE_EXIT,
      layout.TYPE_DENIAL,
      layout.TYPE_REOPEN,
      layout.TYPE_OVERSIZE,
    ]
    expect(new Set([0, ...types]).size).toBe(types.length + 1)
  })
})

describe('align', () => {
  it.each([
    [0, 0],
    [1, 8],
    [7, 8],
    [8, 8],
    [9, 16],
    [40, 40],
    [2 ** 28 - 1, 2 ** 28],
  ])('rounds %d up to %d', (length, expected) => {
    expect(layout.align(length)).toBe(expected)
  })
})

describe('positionDelta', () => {
  it.each([
    [5, 5, 0],
    [13, 5, 8],
    [5, 13, -8],
    [0, 2 ** 32 - 8, 8],
    [2 ** 32 - 8, 0, -8],
    [2 ** 31, 2 ** 31 - 8, 8],
    [-(2 ** 31), 2 ** 31 - 8, 8],
    [2 ** 31 - 8, -(2 ** 31), -8],
    [-8, 2 ** 32 - 8, 0],
  ])('says how far %d is past %d: %d', (a, b, expected) => {
    expect(layout.positionDelta(a, b)).toBe(expected)
  })
})

describe('sealOf', () => {
  it('differs from one lap, and from one length, to the next', () => {
    const laps = [0, CAPACITY, 2 * CAPACITY, 2 ** 31, 2 ** 32 - CAPACITY]
    const seals = laps.flatMap((lap) => [40, 41, 48].map((length) => layout.sealOf(length, lap)))
    expect(new Set(seals).size).toBe(seals.length)
  })

  it('is the same unsigned word for a position read as signed or as unsigned', () => {
    const seal = layout.sealOf(40, -8)
    expect(layout.sealOf(40, 2 ** 32 - 8)).toBe(seal)
    expect(seal).toBe(seal >>> 0)
  })
})

describe('putU64 and getU64', () => {
  const view = () => new DataView(new ArrayBuffer(24))

  it.each([
    [0, 0],
    [1, 1],
    [2 ** 32 - 1, 2 ** 32 - 1],
    [2 ** 32, 2 ** 32],
    [2 ** 32 + 1, 2 ** 32 + 1],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    [0n, 0],
    [2n ** 32n, 2 ** 32],
    [2n ** 53n - 1n, Number.MAX_SAFE_INTEGER],
    [2n ** 53n, 2n ** 53n],
    [2n ** 53n + 1n, 2n ** 53n + 1n],
    [2n ** 63n, 2n ** 63n],
    [2n ** 64n - 1n, 2n ** 64n - 1n],
  ])('keeps %p as %p', (given, expected) => {
    const words = view()
    layout.putU64(words, 8, given)
    expect(layout.getU64(words, 8)).toBe(expected)
    expect(words.getBigUint64(8, true)).toBe(BigInt(given))
    expect([words.getBigUint64(0), words.getBigUint64(16)]).toEqual([0n, 0n])
  })
})
