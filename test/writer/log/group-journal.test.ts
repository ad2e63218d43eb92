import { GroupJournal } from '../../../src/writer/log/group-journal'
import { allocateMemory, type JournalView } from '../../../src/writer/ring/memory-map'

const PLACE = { device: 2049n, inode: 131_073n, offset: 4_096n, fd: 21, probe: 22 }
const STARTS = [0, 2 ** 31 - 8, 2 ** 32 - 8]

/** A journal, and the memory that a later drainer finds it in. */
function newJournal(): { view: JournalView; journal: GroupJournal } {
  const { journal: view } = allocateMemory(1024)
  return { view, journal: new GroupJournal(view) }
}

describe('GroupJournal', () => {
  it('knows of no group before one is begun', () => {
    const { journal } = newJournal()
    expect([journal.unfinishedEnd(0), journal.place()]).toEqual([undefined, undefined])
  })

  it.each(STARTS)(
    'hands the group begun at %d on to the next drainer: its end and place',
    (start) => {
      const { view, journal } = newJournal()
      journal.begin(start | 0, (start + 48) | 0, PLACE)
      const next = new GroupJournal(view)
      expect(next.unfinishedEnd(start | 0)).toBe((start + 48) | 0)
      expect(next.place()).toEqual(PLACE)
    },
  )

  it.each(STARTS)('counts the group begun at %d as finished once durable is its end', (start) => {
    const { journal } = newJournal()
    journal.begin(start | 0, (start + 48) | 0, PLACE)
    expect(journal.unfinishedEnd((start + 48) | 0)).toBeUndefined()
  })

  it('does not take a group for unfinished that starts elsewhere than at durable', () => {
    const { journal } = newJournal()
    journal.begin(96, 144, PLACE)
    expect(journal.unfinishedEnd(48)).toBeUndefined()
  })

  it('does not take an empty group for unfinished', () => {
    const { journal } = newJournal()
    journal.begin(48, 48, PLACE)
    expect(journal.unfinishedEnd(48)).toBeUndefined()
  })

  it('forgets the group and its place when cleared', () => {
    const { journal } = newJournal()
    journal.begin(0, 48, PLACE)
    journal.clear()
    expect([journal.unfinishedEnd(0), journal.place()]).toEqual([undefined, undefined])
  })

  it('replaces its note by that of the next group', () => {
    const { journal } = newJournal()
    journal.begin(0, 48, PLACE)
    const next = { ...PLACE, device: 1n, inode: 2n, offset: 3n }
    journal.begin(48, 144, next)
    expect([journal.unfinishedEnd(48), journal.place()]).toEqual([144, next])
  })

  it('keeps device and inode numbers of 64 bits, and offsets past 2^53', () => {
    const { journal } = newJournal()
    const place = { ...PLACE, device: 2n ** 64n - 1n, inode: 2n ** 63n, offset: 2n ** 53n + 1n }
    journal.begin(0, 48, place)
    expect(journal.place()).toEqual(place)
  })

  it('gives the probe out once, also to the next drainer, until it has reported no error', () => {
    const { view, journal } = newJournal()
    journal.begin(0, 48, PLACE)
    expect(journal.takeProbe()).toBe(PLACE.probe)
    const next = new GroupJournal(view)
    expect([next.takeProbe(), next.place()]).toEqual([undefined, PLACE])
    next.recordProbe(true)
    expect(next.takeProbe()).toBe(PLACE.probe)
  })

  it('gives out no probe that has reported an error, nor any without a note', () => {
    const { journal } = newJournal()
    expect(journal.takeProbe()).toBeUndefined()
    journal.begin(0, 48, PLACE)
    journal.recordProbe(false)
    expect(journal.takeProbe()).toBeUndefined()
  })
})
