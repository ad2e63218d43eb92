import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as counters from '../../../src/writer/ring/counters'
import * as map from '../../../src/writer/ring/memory-map'
import {
  allocateMemory,
  DESCRIPTOR_WORDS,
  DURABLE,
  FLUSH_UP_TO,
  HEAD,
  PLACE_OFFSET,
  positionDelta,
  TAIL,
  viewMemory,
} from '../../../src/writer/ring/memory-map'

const CACHE_LINE_PAIR_BYTES = 128
const WORDS_PER_LINE = CACHE_LINE_PAIR_BYTES / Int32Array.BYTES_PER_ELEMENT
const CAPACITY = 1024

const SOURCE = readFileSync(join(__dirname, '../../../src/writer/ring/memory-map.ts'), 'utf8')

/** The words that the source numbers in each part, in its order: the parts end with their size. */
function numberedWords(): { name: string; line: number }[][] {
  const [ring = '', session = '', journal = ''] = SOURCE.split(/^const \w+_WORDS = \d+ \* STRIDE$/m)
  return [ring, session, journal].map((part) =>
    [...part.matchAll(/^export const (\w+) = (\d+) \* STRIDE$/gm)].map(([, name = '', line]) => ({
      name,
      line: Number(line),
    })),
  )
}

describe('the memory map', () => {
  const memory = allocateMemory(CAPACITY)
  const parts = [memory.ring.words, memory.session.session, memory.journal.words]

  it('gives each control word a pair of cache lines of its own', () => {
    const numbered = numberedWords()
    expect(numbered.map((words) => words.map(({ line }) => line))).toEqual(
      numbered.map((words) => words.map((_, line) => line)),
    )
    expect(numbered.map((words) => words.length * WORDS_PER_LINE)).toEqual(
      parts.map((part) => part.length),
    )
    for (const { name, line } of numbered.flat()) {
      expect([name, Reflect.get(map, name)]).toEqual([name, line * WORDS_PER_LINE])
    }
  })

  it('explains each word of the ring and of the session, in the order of their numbers', () => {
    const explained = [...SOURCE.matchAll(/^ \* \| ([A-Z_]+) /gm)].map(([, name]) => name)
    const [ring = [], session = []] = numberedWords()
    expect([...ring, ...session].map(({ name }) => name)).toEqual(explained)
  })

  it('is drawn as it is', () => {
    const [, ring, session, journal, place, counts] =
      /\| (\d+) x 128 bytes \| (\d+) x 128 bytes +\| (\d+) x 128 bytes +\| (\d+) x 8 +\| (\d+) x 8 /.exec(
        SOURCE,
      ) ?? []
    const drawn = [ring, session, journal, place, counts].map(Number)
    expect(drawn).toEqual([
      ...parts.map((part) => part.byteLength / CACHE_LINE_PAIR_BYTES),
      memory.journal.place.length,
      memory.counters.counts.length,
    ])
  })

  it('gives each counter a word of its own, inside the counters', () => {
    const { SYNC_BUCKETS, SYNC_LIMITS_NS, syncBucketOf: _, COUNTERS, ...names } = counters
    const words = [...Object.values(names), ...SYNC_LIMITS_NS.map((_, i) => SYNC_BUCKETS + i)]
    expect(new Set(words).size).toBe(words.length)
    expect(words.filter((word) => word < 0 || word >= COUNTERS)).toEqual([])
  })

  it('lays its parts and the record area end to end', () => {
    const { ring, journal, counters, buffer } = memory
    const views = [...parts, journal.place, counters.counts, ring.records.view]
    const ends = views.map((view) => view.byteOffset + view.byteLength)
    expect(views.map((view) => view.byteOffset)).toEqual([0, ...ends.slice(0, -1)])
    expect(ends.at(-1)).toBe(buffer.byteLength)
    expect(ring.records.bytes.byteOffset).toBe(ring.records.view.byteOffset)
    expect(ring.records.bytes.byteLength).toBe(CAPACITY)
  })

  it('shows the same memory to each thread that views it', () => {
    const other = viewMemory(memory.buffer)
    other.ring.words[TAIL] = 7
    other.journal.place[PLACE_OFFSET] = 8n
    other.ring.records.bytes[CAPACITY - 1] = 9
    expect(other.ring.capacity).toBe(CAPACITY)
    expect(memory.ring.words[TAIL]).toBe(7)
    expect(memory.journal.place[PLACE_OFFSET]).toBe(8n)
    expect(memory.ring.records.view.getUint8(CAPACITY - 1)).toBe(9)
  })
})

describe('allocateMemory', () => {
  it.each([0, 2 ** 31, 2 ** 32 - 8])(
    'starts every position at %d, with no descriptor and all else at 0',
    (start) => {
      const { ring, session, journal, counters } = allocateMemory(CAPACITY, start)
      const positions = [TAIL, HEAD, DURABLE, FLUSH_UP_TO]
      expect(positions.map((word) => ring.words[word])).toEqual(positions.map(() => start | 0))
      expect(DESCRIPTOR_WORDS.map((word) => journal.words[word])).toEqual([-1, -1, -1])
      const descriptors: readonly number[] = DESCRIPTOR_WORDS
      const others = [
        ...[...ring.words].filter((_, word) => !positions.includes(word)),
        ...session.session,
        ...[...journal.words].filter((_, word) => !descriptors.includes(word)),
      ]
      expect(others.filter((value) => value !== 0)).toEqual([])
      const wide = [...journal.place, ...counters.counts]
      expect(wide.filter((value) => value !== 0n)).toEqual([])
    },
  )

  it.each([0, -1024, 1023, 1536])('refuses a capacity of %d', (capacity) => {
    const expected = new RangeError(`capacity=${capacity} is not a power of two from 2^10 to 2^30`)
    expect(() => allocateMemory(capacity)).toThrow(expected)
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
    expect(positionDelta(a, b)).toBe(expected)
  })
})
