import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { AuditOutcome } from '../src'
import { startedEvent } from './helpers/events'
import { type AuditUnderTest, openAudit } from './helpers/open-audit'
import { itWithMounts, output, privileged, unmount } from './helpers/privileged'
import { useTempDir } from './helpers/temp-dir'
import { until } from './helpers/until'

const IN_FLIGHT = 64
/**
 * EXT4_IOC_SHUTDOWN: from then on all I/O fails. With a flush: without one (2) the kernel may answer 0
 * to an fdatasync of that very moment and lose what it was for; a bare write and fdatasync show it.
 */
const SHUTDOWN = `
open(my $folder, '<', $ARGV[0]) or die $!;
my $flags = pack('L', 0);
ioctl($folder, 0x8004587d, $flags) or die $!;
`

const load = { isStopped: false }

/** Keeps events in flight until it is stopped; sets the outcome of each pid, from the first free one on. */
function startLoad({ audit }: AuditUnderTest, outcomes: AuditOutcome[] = []) {
  let next = outcomes.length
  load.isStopped = false
  const loop = async () => {
    while (!load.isStopped) {
      const pid = next++
      outcomes[pid] = await audit.started(startedEvent({ pid }))
    }
  }
  const loops = Promise.all(Array.from({ length: IN_FLIGHT }, loop))
  const stop = async () => {
    load.isStopped = true
    await loops
    return outcomes
  }
  return { stop }
}

/** Codes of the errors that the warnings tell of. */
const causes = ({ warned }: AuditUnderTest) =>
  new Set(warned.map(({ object: { err } }) => Object(err instanceof Error && err.cause).code))

describe('a disk that breaks under load, and is repaired', () => {
  let mounted = ''
  afterEach(() => {
    load.isStopped = true
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
        // The write itself fails, too: the error is there by then.
        spawnSync('sh', ['-c', `echo 1 > /sys/fs/ext4/${device}/trigger_fs_error`])
      },
    ],
    ['is shut down', 'EIO', () => privileged('perl', '-e', SHUTDOWN, mounted)],
  ]

  /** Every durable event is in the file, and whatever is there is whole. */
  const expectKept = (outcomes: readonly AuditOutcome[]) => {
    const lines = readFileSync(path(), 'utf8').trimEnd().split('\n')
    const kept = new Set(lines.map((line): number => JSON.parse(line).pid))
    const lost = outcomes.flatMap((outcome, pid) =>
      outcome === 'durable' && !kept.has(pid) ? [pid] : [],
    )
    expect(lost).toEqual([])
    process.stdout.write(`    ${outcomes.length} events, ${lines.length - kept.size} lines twice\n`)
  }

  itWithMounts.each(FAULTS)('%s (%s): fails what follows, and recovers', async (_, errno, fail) => {
    const tested = openAudit(path())
    const { audit, diagnostics } = tested
    const broken = startLoad(tested)
    await until('nothing is durable', () => audit.stats().events.succeeded > 1_000)
    fail()
    await until('nothing fails', () => audit.stats().events.failed > 1_000)
    const outcomes = await broken.stop()
    const { failures, events } = audit.stats()
    const failed = outcomes.filter((outcome) => outcome === 'failed').length
    const { folder, open, write, sync } = failures
    const counts = [events.failed, diagnostics.auditFailures, folder + open + write + sync]
    expect(counts).toEqual([failed, failed, failed])
    expect(causes(tested)).toEqual(new Set([errno]))

    await repair()
    const repaired = startLoad(tested, outcomes)
    const enough = events.succeeded + 1_000
    await until('it does not recover', () => audit.stats().events.succeeded > enough)
    await repaired.stop()
    expect(audit.stats().events.failed).toBe(failed)
    expectKept(outcomes)
  })

  itWithMounts.each(FAULTS)(
    '%s (%s): with retryForMs all that follows is held, and durable after the repair',
    async (_, __, fail) => {
      const tested = openAudit(path(), { retryForMs: 60_000 })
      const { audit } = tested
      const broken = startLoad(tested)
      await until('nothing is durable', () => audit.stats().events.succeeded > 1_000)
      fail()
      await until('nothing is tried again', () => audit.stats().groups.retries > 2)
      const before = audit.stats().events.succeeded
      await repair()
      await until('it does not recover', () => audit.stats().events.succeeded > before + 1_000)
      const outcomes = await broken.stop()
      expect(new Set(outcomes)).toEqual(new Set(['durable']))
      expect(tested.warned).toEqual([])
      expectKept(outcomes)
    },
  )
})
