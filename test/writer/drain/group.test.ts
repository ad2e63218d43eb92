import fc from 'fast-check'
import { Group } from '../../../src/writer/drain/group'
import { seeded } from '../../support/seed'

/** Lines of one to some ten thousand units, of one to three bytes each. */
const LINES = fc
  .tuple(fc.constantFrom('a', 'ü', '€', '😀'), fc.constantFrom(1, 40, 8_190, 12_000))
  .map(([text, times]) => `${text.repeat(times)}\n`)
const LINE = 'ü234567\n'
const LINE_BYTES = 9

function newGroup(limits: { maxEvents?: number; maxBytes?: number } = {}, until?: number): Group {
  const group = new Group({ maxEvents: 100, maxBytes: 1_000, ...limits })
  group.begin(64, until)
  return group
}

describe('Group', () => {
  it('holds the lines in their order, as bytes', () => {
    const group = newGroup()
    expect([group.isEmpty, group.lines]).toEqual([true, undefined])
    expect([group.tryAdd(LINE), group.tryAdd('b\n')]).toEqual([true, true])
    expect([group.events, group.isEmpty]).toEqual([2, false])
    expect(group.complete().toString()).toBe(`${LINE}b\n`)
    expect(group.lines?.toString()).toBe(`${LINE}b\n`)
  })

  it('is full with maxEvents', () => {
    const group = newGroup({ maxEvents: 2 })
    const full = [1, 2].map(() => group.tryAdd(LINE) && group.isFull(0))
    expect(full).toEqual([false, true])
  })

  it('takes lines up to maxBytes of UTF-8, and leaves the next line to the next group', () => {
    const group = newGroup({ maxBytes: 2 * LINE_BYTES })
    expect([group.tryAdd(LINE), group.isFull(0)]).toEqual([true, false])
    expect([group.tryAdd(LINE), group.isFull(0)]).toEqual([true, true])
    const other = newGroup({ maxBytes: 2 * LINE_BYTES - 1 })
    expect([other.tryAdd(LINE), other.tryAdd(LINE), other.events]).toEqual([true, false, 1])
  })

  it('takes a line of more than maxBytes alone', () => {
    const group = newGroup({ maxBytes: 4 })
    expect([group.tryAdd(LINE), group.isFull(0)]).toEqual([true, true])
  })

  it('counts an event without a line', () => {
    const group = newGroup()
    expect([group.tryAdd(''), group.events, group.complete().length]).toEqual([true, 1, 0])
  })

  it('is a reopen alone', () => {
    const group = newGroup()
    expect([group.tryReopen(), group.isReopen, group.isFull(0)]).toEqual([true, true, true])
    const begun = newGroup()
    begun.tryAdd(LINE)
    expect([begun.tryReopen(), begun.isReopen]).toEqual([false, false])
  })

  it('that another drainer had begun ends at the noted position, whatever the limits are', () => {
    const group = newGroup({ maxEvents: 1, maxBytes: 1 }, 128)
    expect([group.tryAdd(LINE), group.tryAdd(LINE)]).toEqual([true, true])
    expect([64, 127, 128, 192].map((read) => group.isFull(read))).toEqual([
      ...[false, false],
      ...[true, true],
    ])
    expect(newGroup().isAtEnd(64)).toBe(false)
  })

  it('that another drainer had begun may end past the wrap of positions', () => {
    const group = new Group({ maxEvents: 1, maxBytes: 1 })
    group.begin(2 ** 31 - 8, -(2 ** 31))
    expect([2 ** 31 - 8, -(2 ** 31)].map((read) => group.isFull(read))).toEqual([false, true])
  })

  it('keeps nothing when it begins anew', () => {
    const group = newGroup({}, 128)
    group.tryReopen()
    group.syncNs = 5
    group.complete()
    group.begin(128)
    const { start, until, events, isReopen, syncNs, lines, isEmpty } = group
    expect({ start, until, events, isReopen, syncNs, lines, isEmpty }).toEqual({
      start: 128,
      until: undefined,
      events: 0,
      isReopen: false,
      syncNs: 0,
      lines: undefined,
      isEmpty: true,
    })
    group.tryAdd('c\n')
    expect(group.complete().toString()).toBe('c\n')
  })

  it('is encoded as its lines would be one by one, and cut where their bytes say, whatever their lengths', () => {
    fc.assert(
      fc.property(
        fc.array(LINES, { maxLength: 60 }),
        fc.integer({ min: 1, max: 60_000 }),
        (lines, maxBytes) => {
          const group = newGroup({ maxEvents: 1_000, maxBytes })
          let bytes = 0
          for (const line of lines) {
            const fits = bytes === 0 || bytes + Buffer.byteLength(line) <= maxBytes
            expect(group.isFull(0)).toBe(bytes >= maxBytes)
            if (bytes >= maxBytes) break
            expect(group.tryAdd(line)).toBe(fits)
            if (!fits) break
            bytes += Buffer.byteLength(line)
          }
          const taken = group.complete()
          expect(taken.equals(Buffer.from(lines.slice(0, group.events).join('')))).toBe(true)
          expect(taken.length).toBe(bytes)
        },
      ),
      seeded(300),
    )
  })
})
