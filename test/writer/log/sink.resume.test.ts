import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { GroupJournal } from '../../../src/writer/log/group-journal'
import { Sink } from '../../../src/writer/log/sink'
import { COUNT_TORN_TAILS } from '../../../src/writer/ring/counters'
import { allocateMemory } from '../../../src/writer/ring/memory-map'
import { useTempDir } from '../../support/temp-dir'

const BEFORE = 'an older line\n'
const GROUP = 'first\nsecond\n'

/** The table of group-journal.ts: the bytes after the noted offset, and what append makes of them. */
const CASES: readonly (readonly [string, string, string, number])[] = [
  ['nothing', '', GROUP, 0],
  ['a part of the first line', 'fir', GROUP, 0],
  ['the first line', 'first\n', GROUP, 0],
  ['all but the newline', 'first\nsecond', GROUP, 0],
  ['the whole group', GROUP, GROUP, 0],
  ['a line of another writer', 'other\n', `other\n${GROUP}`, 0],
  ['a torn line of another writer', 'oth', `oth\n${GROUP}`, 1],
  ['the first line, then another writer', 'first\nother\n', `first\nother\n${GROUP}`, 0],
  ['a part of it, then another writer', 'fother\n', `fother\n${GROUP}`, 0],
  ['the whole group, then another writer', `${GROUP}other\n`, `${GROUP}other\n${GROUP}`, 0],
]

/** The module's object, through which sonic-boom calls it. */
const fs = jest.requireActual<typeof import('node:fs')>('node:fs')

describe('Sink, with a group that another drainer had begun:', () => {
  const dir = useTempDir()
  afterEach(() => jest.restoreAllMocks())

  const setUp = (inFile: string) => {
    const path = dir.path('exec.log')
    writeFileSync(path, BEFORE + inFile)
    const memory = allocateMemory(1024)
    const journal = new GroupJournal(memory.journal)
    const modes = { fileMode: 0o600, dirMode: 0o700 }
    const options = {
      path,
      ...modes,
      onUnsafeFile: 'warn',
      syncMethod: 'fdatasync',
      descriptorsOutlive: true,
    } as const
    const sink = new Sink(options, memory, { onSync: () => {}, onNotice: () => {} })
    const { dev, ino } = statSync(path, { bigint: true })
    // The remains of a dead drainer: its place, and the descriptors it had open.
    const [fd, probe] = ['r+', 'r'].map((flags) => openSync(path, flags))
    if (fd === undefined || probe === undefined) throw new Error('none')
    const place = { device: dev, inode: ino, offset: BigInt(BEFORE.length), fd, probe }
    return { path, memory, journal, sink, place }
  }
  const group = { start: 0, end: 64, bytes: Buffer.from(GROUP) }

  it.each(CASES)(
    'completes it without a copy, with %s in the file',
    (_, inFile, after, tornTails) => {
      const { path, memory, journal, sink, place } = setUp(inFile)
      journal.begin(group.start, group.end, place)
      expect(sink.append(group)).toBeUndefined()
      sink.close()
      expect(readFileSync(path, 'utf8')).toBe(BEFORE + after)
      expect(Number(memory.counters.counts[COUNT_TORN_TAILS])).toBe(tornTails)
    },
  )

  it.each(CASES)('completes it if it has the file open already, with %s in the file', (...row) => {
    const [, inFile, after] = row
    const { path, journal, sink, place } = setUp('')
    expect(sink.append({ start: -64, end: 0, bytes: Buffer.from('older\n') })).toBeUndefined()
    const offset = statSync(path, { bigint: true }).size
    journal.begin(group.start, group.end, { ...place, offset })
    appendFileSync(path, inFile)
    expect(sink.append(group)).toBeUndefined()
    sink.close()
    expect(readFileSync(path, 'utf8')).toBe(`${BEFORE}older\n${after}`)
  })

  it("closes another writer's torn line though the file is open", () => {
    const { path, memory, journal, sink } = setUp('')
    for (const bytes of ['one\n', 'two\n']) {
      expect(sink.append({ start: 0, end: 8, bytes: Buffer.from(bytes) })).toBeUndefined()
      journal.clear()
      appendFileSync(path, 'torn')
    }
    expect(sink.append(group)).toBeUndefined()
    sink.close()
    expect(readFileSync(path, 'utf8')).toBe(`${BEFORE}one\ntorn\ntwo\ntorn\n${GROUP}`)
    expect(Number(memory.counters.counts[COUNT_TORN_TAILS])).toBe(2)
  })

  it('writes it whole to the file that has taken the place of the noted one', () => {
    const { path, journal, sink, place } = setUp(GROUP)
    journal.begin(group.start, group.end, { ...place, inode: place.inode + 1n })
    expect(sink.append(group)).toBeUndefined()
    sink.close()
    expect(readFileSync(path, 'utf8')).toBe(BEFORE + GROUP + GROUP)
  })

  it("writes it again if the probe reports an error that the dead drainer's sync used up", () => {
    const { path, journal, sink, place } = setUp(GROUP)
    // No disk here fails on demand: a device that cannot be synced stands for one that reports.
    closeSync(place.probe)
    journal.begin(group.start, group.end, { ...place, probe: openSync('/dev/null', 'r') })
    expect(sink.append(group)).toBeUndefined()
    sink.close()
    expect(readFileSync(path, 'utf8')).toBe(BEFORE + GROUP + GROUP)
  })

  it('does not take it for another group with equal bytes', () => {
    const { path, journal, sink, place } = setUp(GROUP)
    journal.begin(group.start - 64, group.start, place)
    expect(sink.append(group)).toBeUndefined()
    sink.close()
    expect(readFileSync(path, 'utf8')).toBe(BEFORE + GROUP + GROUP)
  })

  /** The paths of this process's descriptors of the log, its folder and those above. */
  const openPaths = () => {
    const folder = realpathSync(dir.path('.'))
    return readdirSync('/proc/self/fd').flatMap((fd) => {
      const link = `/proc/self/fd/${fd}`
      const path = existsSync(link) ? readlinkSync(link) : ''
      return path !== '' && (path.startsWith(folder) || folder.startsWith(path)) ? [path] : []
    })
  }

  it("leaves no descriptor open, its own or the dead drainer's", () => {
    const before = openPaths()
    const { journal, sink, place } = setUp('fir')
    journal.begin(group.start, group.end, place)
    expect(sink.append(group)).toBeUndefined()
    sink.endGroup()
    sink.close()
    expect(openPaths()).toEqual(before)
  })

  it.each([
    ['before its rest is written', 'fir', 0],
    ['between two parts of one write', '', 3],
  ])('writes it again if another writer comes in %s', (_, inFile, firstBytes) => {
    const { path, journal, sink, place } = setUp(inFile)
    journal.begin(group.start, group.end, place)
    const { writeSync } = fs
    // No other process could be made to come in just there.
    jest.spyOn(fs, 'writeSync').mockImplementationOnce((fd, bytes) => {
      const isCut = firstBytes > 0
      if (isCut) writeSync(fd, String(bytes).slice(0, firstBytes))
      appendFileSync(path, 'other\n')
      return isCut ? firstBytes : writeSync(fd, String(bytes))
    })
    expect(sink.append(group)).toBeUndefined()
    sink.close()
    expect(readFileSync(path, 'utf8')).toBe(`${BEFORE}firother\nst\nsecond\n${GROUP}`)
  })

  it('writes it again if there is no note of it', () => {
    const { path, sink } = setUp(GROUP)
    expect(sink.append(group)).toBeUndefined()
    sink.close()
    expect(readFileSync(path, 'utf8')).toBe(BEFORE + GROUP + GROUP)
  })
})

describe('TailRepair, of a file whose end is at risk since a sync failed,', () => {
  const dir = useTempDir()

  it.each([
    ['at the end of a sector', 512, true, '\n'],
    ['within a sector', 500, true, ''],
    ['at the end of a sector, but synced since', 512, false, ''],
  ])(
    'adds a newline only if the last one may be lost: %s, %i bytes',
    (_, size, isDoubted, guard) => {
      const path = dir.path('exec.log')
      const before = `${'x'.repeat(size - 1)}\n`
      writeFileSync(path, before)
      const memory = allocateMemory(1024)
      const journal = new GroupJournal(memory.journal)
      if (isDoubted) journal.markTailAtRisk()
      const modes = { fileMode: 0o600, dirMode: 0o700 }
      const options = {
        path,
        ...modes,
        onUnsafeFile: 'warn',
        syncMethod: 'fdatasync',
        descriptorsOutlive: true,
      } as const
      const ignore = () => {}
      const sink = new Sink(options, memory, { onSync: ignore, onNotice: ignore })
      expect(sink.append({ start: 0, end: 64, bytes: Buffer.from(GROUP) })).toBeUndefined()
      sink.close()
      expect(readFileSync(path, 'utf8')).toBe(before + guard + GROUP)
      expect(journal.isTailAtRisk).toBe(false)
    },
  )
})
