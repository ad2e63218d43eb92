import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { AuditOutcome } from '../../../src'
import { type Load, startLoad, stopLoads } from '../../support/load'
import { type AuditUnderTest, openAudit } from '../../support/open-audit'
import { itWithMounts, output, privileged, unmount } from '../../support/privileged'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

/** EXT4_IOC_SHUTDOWN without a flush of the journal: unsynced data is lost, and all I/O fails. */
const SHUTDOWN = `
open(my $folder, '<', $ARGV[0]) or die $!;
my $flags = pack('L', 2);
ioctl($folder, 0x8004587d, $flags) or die $!;
`

/** Codes of the errors in the warnings. */
const causes = ({ warned }: AuditUnderTest) =>
  new Set(warned.map(({ object: { err } }) => Object(err instanceof Error && err.cause).code))

describe('a disk that breaks under load, and is repaired', () => {
  let mounted = ''
  afterEach(() => {
    stopLoads()
    unmount(mounted)
  })
  const dir = useTempDir()
  const path = () => `${mounted}/logs/exec.log`

  const mount = () =>
    privileged('mount', '-o', 'loop,errors=remount-ro', dir.path('image'), mounted)
  beforeEach(() => {
    mounted = dir.path('disk')
    mkdirSync(mounted)
    // Without the disk there is no folder, and none can be made: nothing goes to the disk below.
    writeFileSync(`${mounted}/logs`, '')
    privileged('truncate', '-s', '64M', dir.path('image'))
    privileged('mkfs.ext4', '-q', '-F', dir.path('image'))
    mount()
  })

  /** Unmounts as soon as the writer has let go, so without -l, checks the image and mounts it again. */
  const repair = async () => {
    const isUnmounted = () => spawnSync('umount', [mounted]).status === 0
    await until('the writer keeps the file system busy', isUnmounted)
    // A program that looks through the devices, or a namespace made meanwhile, may hold the loop device for a moment;
    // mounted again, it would show what the kernel remembers from before the repair.
    const isDetached = () => output('losetup', '-j', dir.path('image')) === ''
    await until('the loop device stays', isDetached)
    // 1: errors were corrected.
    expect([0, 1]).toContain(spawnSync('e2fsck', ['-fy', dir.path('image')]).status)
    mount()
  }

  const FAULTS: readonly (readonly [string, string, () => void])[] = [
    [
      'is made read-only by an error',
      'EROFS',
      () => {
        const device = basename(output('findmnt', '-no', 'SOURCE', mounted).trim())
        // The write to it fails, too: the file system is read-only by then.
        spawnSync('sh', ['-c', `echo 1 > /sys/fs/ext4/${device}/trigger_fs_error`])
      },
    ],
    ['is shut down', 'EIO', () => privileged('perl', '-e', SHUTDOWN, mounted)],
  ]

  /**
   * Every durable event is in the file, and every line there is whole. Events that were in flight when the
   * disk broke are excused: ext4 may return 0 for the fdatasync of that very moment and lose its bytes, as
   * a bare write and fdatasync show.
   */
  const expectKept = (outcomes: readonly AuditOutcome[], inFlight: readonly number[]) => {
    // After a failed sync a line may have a blank one before it.
    const lines = readFileSync(path(), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
    const kept = new Set(lines.map((line): number => JSON.parse(line).pid))
    const lost = outcomes.flatMap((outcome, pid) =>
      outcome === 'durable' && !kept.has(pid) ? [pid] : [],
    )
    expect(lost.filter((pid) => !inFlight.includes(pid))).toEqual([])
    process.stdout.write(
      `    ${outcomes.length} events, ${lines.length - kept.size} lines twice, ${lost.length} of those in flight lost\n`,
    )
  }

  /** Breaks the disk while this thread waits; returns the pids that are without an outcome meanwhile. */
  const breakUnderLoad = async ({ audit }: AuditUnderTest, load: Load, fail: () => void) => {
    await until('nothing is durable', () => audit.stats().events.succeeded > 1_000)
    const inFlight = load.inFlight()
    fail()
    return inFlight
  }

  itWithMounts.each(FAULTS)(
    '%s (%s): fails the events that follow, and recovers',
    async (_, errno, fail) => {
      const tested = openAudit(path())
      const { audit, diagnostics } = tested
      const broken = startLoad(tested)
      const inFlight = await breakUnderLoad(tested, broken, fail)
      await until('nothing fails', () => audit.stats().events.failed > 1_000)
      const outcomes = await broken.stop()
      const { failures, events } = audit.stats()
      const failed = outcomes.filter((outcome) => outcome === 'failed').length
      const { folder, open, write, sync } = failures
      const counts = [events.failed, diagnostics.auditFailures, folder + open + write + sync]
      expect(counts).toEqual([failed, failed, failed])
      // Events in flight may fail with EIO, whatever error follows.
      expect(new Set([...causes(tested), 'EIO'])).toEqual(new Set([errno, 'EIO']))
      expect(causes(tested)).toContain(errno)

      await repair()
      const repaired = startLoad(tested, outcomes)
      const enough = events.succeeded + 1_000
      await until('it does not recover', () => audit.stats().events.succeeded > enough)
      await repaired.stop()
      expect(audit.stats().events.failed).toBe(failed)
      expectKept(outcomes, inFlight)
    },
  )

  itWithMounts.each(FAULTS)(
    '%s (%s): with retryForMs the events that follow are held, and durable after the repair',
    async (_, __, fail) => {
      const tested = openAudit(path(), { retryForMs: 60_000 })
      const { audit } = tested
      const broken = startLoad(tested)
      const inFlight = await breakUnderLoad(tested, broken, fail)
      await until('nothing is tried again', () => audit.stats().groups.retries > 2)
      const before = audit.stats().events.succeeded
      await repair()
      await until('it does not recover', () => audit.stats().events.succeeded > before + 1_000)
      const outcomes = await broken.stop()
      expect(new Set(outcomes)).toEqual(new Set(['durable']))
      expect(tested.warned).toEqual([])
      expectKept(outcomes, inFlight)
    },
  )
})
