import { GroupJournal } from '../../../src/writer/log/group-journal'
import { allocateRing, DURABLE, type RingMemory } from '../../../src/writer/ring/memory-map'

const PLACE = { device: 2049n, inode: 131_073n, offset: 4_096n, fd: 21, witness: 22, spare: 23 }
const STARTS = [0, 2 ** 31 - 8, 2 ** 32 - 8]

/** A ring whose positions start at `start`, and the journal in it. */
function journalAt(start: number): { memory: RingMemory; journal: GroupJournal } {
  const memory = allocateRing(1024, start)
  return { memory, journal: new GroupJournal(memory) }
}

describe('GroupJournal', () => {
  it('knows of no group before one is begun', () => {
    const { journal } = journalAt(0)
    expect([journal.unfinishedEnd(), journal.place()]).toEqual([undefined, undefined])
  })

  it.each(STARTS)('tells the next drainer of a group begun at %d: its end and place', (start) => {
    const { memory, journal } = journalAt(start)
    journal.begin(start | 0, (start + 48) | 0, PLACE)
    const next = new GroupJournal(memory)
    expect(next.unfinishedEnd()).toBe((start + 48) | 0)
    expect(next.place()).toEqual(PLACE)
  })

  it.each(STARTS)('holds the group begun at %d for finished once durable is its end', (start) => {
    const { memory, journal } = journalAt(start)
    journal.begin(start | 0, (start + 48) | 0, PLACE)
    Atomics.store(memory.control, DURABLE, (start + 48) | 0)
    expect(journal.unfinishedEnd()).toBeUndefined()
  })

  it('does not take a group for unfinished that starts elsewhere than at durable', () => {
    const { journal } = journalAt(48)
    journal.begin(96, 144, PLACE)
    expect(journal.unfinishedEnd()).toBeUndefined()
  })

  it('does not take an empty group for unfinished', () => {
    const { journal } = journalAt(48)
    journal.begin(48, 48, PLACE)
    expect(journal.unfinishedEnd()).toBeUndefined()
  })

  it('forgets the group and its place when cleared', () => {
    const { journal } = journalAt(0)
    journal.begin(0, 48, PLACE)
    journal.clear()
    expect([journal.unfinishedEnd(), journal.place()]).toEqual([undefined, undefined])
  })

  it('replaces its note by that of the next group', () => {
    const { memory, journal } = journalAt(0)
    journal.begin(0, 48, PLACE)
    Atomics.store(memory.control, DURABLE, 48)
    const next = { ...PLACE, device: 1n, inode: 2n, offset: 3n }
    journal.begin(48, 144, next)
    expect([journal.unfinishedEnd(), journal.place()]).toEqual([144, next])
  })

  it('keeps device and inode numbers of 64 bits, and offsets past 2^53', () => {
    const { journal } = journalAt(0)
    const place = { ...PLACE, device: 2n ** 64n - 1n, inode: 2n ** 63n, offset: 2n ** 53n + 1n }
    journal.begin(0, 48, place)
    expect(journal.place()).toEqual(place)
  })

  it('gives each witness out once, also to the next drainer, until one has told of no error', () => {
    const { memory, journal } = journalAt(0)
    journal.begin(0, 48, PLACE)
    expect(journal.takeWitness()).toBe(PLACE.witness)
    const next = new GroupJournal(memory)
    expect([next.takeWitness(), next.takeWitness()]).toEqual([PLACE.spare, undefined])
    expect([next.isTrusted, next.place()]).toEqual([false, PLACE])
    next.hear(true)
    expect([next.isTrusted, next.takeWitness()]).toEqual([true, PLACE.witness])
  })

  it('gives no witness out when one has told of an error, nor without a note', () => {
    const { journal } = journalAt(0)
    expect(journal.takeWitness()).toBeUndefined()
    journal.begin(0, 48, PLACE)
    journal.hear(false)
    expect([journal.isTrusted, journal.takeWitness()]).toEqual([false, undefined])
  })
})
