import { mkdirSync, readFileSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import type { AuditOutcome, ExecAudit, ExecAuditOptions } from '../../../src'
import { startedEvent, startedLines } from '../../support/events'
import { openAudit } from '../../support/open-audit'
import { itWithMounts, privileged, unmount } from '../../support/privileged'
import { seededRandom } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'
import { until } from '../../support/waiting'

const ROUNDS = times('ROUNDS', 8, 40)
const BURST = 200
const HOLD: ExecAuditOptions = { retryForMs: 60_000 }
const TORN_TAIL = /had (\d+) bytes without a newline at offset (\d+), left/

/** Where the torn tail is that a warning reports, if it reports one. */
function tornTail(message: string): { bytes: number; offset: number }[] {
  const found = TORN_TAIL.exec(message)
  return found === null ? [] : [{ bytes: Number(found[1]), offset: Number(found[2]) }]
}

describe('room that is gone and comes back under load', () => {
  let mounted = ''
  afterEach(() => unmount(mounted))
  const dir = useTempDir()
  beforeEach(() => {
    mounted = dir.path('small')
    mkdirSync(mounted)
    privileged('mount', '-t', 'tmpfs', '-o', 'size=4m,nr_inodes=20', 'tmpfs', mounted)
  })
  const path = () => `${mounted}/logs/exec.log`

  /** Records events, the first with this pid, and returns the promises of their outcomes. */
  const burst = (audit: ExecAudit, from: number, events = BURST) =>
    Array.from({ length: events }, (_, i) => audit.started(startedEvent({ pid: from + i })))

  const retriedThrice = async (audit: ExecAudit) => {
    const { retries } = audit.stats().groups
    await until('nothing is tried again', () => audit.stats().groups.retries > retries + 2)
  }

  /** Fills the disk but for `pages` pages while events are recorded; calls `whileFull`; frees it. */
  const round = async (audit: ExecAudit, from: number, pages: number, whileFull: () => unknown) => {
    const outcomes = burst(audit, from)
    // Given back below as room for a few lines: what is written meanwhile may take it first.
    const { bavail, bsize } = statfsSync(mounted)
    try {
      writeFileSync(`${mounted}/fill`, Buffer.alloc(Math.max(0, bavail - pages) * bsize))
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' })
    }
    outcomes.push(...burst(audit, from + BURST))
    await whileFull()
    rmSync(`${mounted}/fill`)
    return outcomes
  }

  itWithMounts('is waited for with retryForMs: each event once, and in order', async () => {
    const random = seededRandom()
    const { audit, warned } = openAudit(path(), HOLD)
    await Promise.all(burst(audit, 0))
    for (let i = 0; i < ROUNDS; i++) {
      const from = BURST + i * 2 * BURST
      const held = await round(audit, from, Math.floor(random() * 4), () => retriedThrice(audit))
      expect(new Set(await Promise.all(held))).toEqual(new Set(['durable']))
    }
    expect(readFileSync(path(), 'utf8')).toBe(startedLines(BURST + ROUNDS * 2 * BURST))
    expect([warned, audit.stats().file.tornTails]).toEqual([[], 0])
  })

  itWithMounts(
    'without retryForMs fails events: counted, torn lines closed, none twice',
    async () => {
      const random = seededRandom()
      const { audit, diagnostics, warned } = openAudit(path())
      const outcomes: AuditOutcome[] = await Promise.all(burst(audit, 0))
      for (let i = 0; i < ROUNDS; i++) {
        const pages = Math.floor(random() * 4)
        const fails = () => until('nothing fails', () => audit.stats().events.failed > failedBefore)
        const failedBefore = audit.stats().events.failed
        outcomes.push(...(await Promise.all(await round(audit, outcomes.length, pages, fails))))
        outcomes.push(...(await Promise.all(burst(audit, outcomes.length, 1))))
        expect(outcomes.at(-1)).toBe('durable')
      }
      const failed = outcomes.filter((outcome) => outcome === 'failed').length
      const { events, failures, file } = audit.stats()
      const counts = [diagnostics.auditFailures, events.failed, failures.write]
      expect(counts).toEqual([failed, failed, failed])
      await audit.close()
      const text = readFileSync(path(), 'utf8')
      const tails = warned.flatMap(({ message }) => tornTail(message))
      expect(tails.length).toBe(file.tornTails)
      const lines = text.trimEnd().split('\n')
      // A disk may also be full right before a newline: then that tail is a whole line.
      const cut = lines.filter((line) => !line.endsWith('}'))
      const closed = tails.map(({ bytes, offset }) => text.slice(offset, offset + bytes + 1))
      expect(closed.filter((tail) => !tail.endsWith('}\n'))).toEqual(cut.map((line) => `${line}\n`))
      const whole = lines.filter((line) => line.endsWith('}'))
      const pids = whole.map((line): number => JSON.parse(line).pid)
      expect(pids).toEqual([...new Set(pids)].sort((a, b) => a - b))
      const kept = new Set(pids)
      expect(outcomes.filter((outcome, pid) => outcome === 'durable' && !kept.has(pid))).toEqual([])
    },
  )

  itWithMounts(
    'is waited for if the folder turns into a file and back, but only with retryForMs',
    async () => {
      const holding = openAudit(path(), HOLD)
      const failing = openAudit(path())
      await Promise.all(burst(holding.audit, 0))
      expect(await failing.audit.started(startedEvent({ pid: BURST }))).toBe('durable')
      renameSync(`${mounted}/logs`, `${mounted}/before`)
      writeFileSync(`${mounted}/logs`, '')
      const held = burst(holding.audit, 0)
      await retriedThrice(holding.audit)
      expect(new Set(await Promise.all(burst(failing.audit, 0)))).toEqual(new Set(['failed']))
      expect(failing.diagnostics.auditFailures).toBe(BURST)

      rmSync(`${mounted}/logs`)
      expect(new Set(await Promise.all(held))).toEqual(new Set(['durable']))
      expect(await failing.audit.started(startedEvent({ pid: BURST }))).toBe('durable')
      expect(readFileSync(`${mounted}/before/exec.log`, 'utf8')).toBe(startedLines(BURST + 1))
      expect(readFileSync(path(), 'utf8')).toBe(startedLines(BURST + 1))
      expect(holding.warned).toEqual([])
    },
  )

  const IN_THE_WAY: readonly (readonly [string, string, () => void, () => void])[] = [
    [
      'no inode for the folder',
      'AUDIT_FOLDER_FAILED',
      () => takeInodes(),
      () => rmSync(`${mounted}/taken`, { recursive: true }),
    ],
    [
      'no inode for the file',
      'AUDIT_OPEN_FAILED',
      () => {
        mkdirSync(`${mounted}/logs`)
        takeInodes()
      },
      () => rmSync(`${mounted}/taken`, { recursive: true }),
    ],
    [
      'a file in the place of the folder',
      'AUDIT_OPEN_FAILED',
      () => writeFileSync(`${mounted}/logs`, ''),
      () => rmSync(`${mounted}/logs`),
    ],
    [
      'a file system that is read-only',
      'AUDIT_FOLDER_FAILED',
      () => privileged('mount', '-o', 'remount,ro', mounted),
      () => privileged('mount', '-o', 'remount,rw', mounted),
    ],
  ]
  /** Makes files until there is no inode left. */
  function takeInodes(): void {
    mkdirSync(`${mounted}/taken`)
    const takeAll = () => {
      for (let i = 0; ; i++) writeFileSync(`${mounted}/taken/${i}`, '')
    }
    expect(takeAll).toThrow('ENOSPC')
  }

  itWithMounts.each(IN_THE_WAY)(
    '%s holds the events, or fails them',
    async (_, code, begin, end) => {
      begin()
      const holding = openAudit(path(), HOLD)
      const held = burst(holding.audit, 0)
      await retriedThrice(holding.audit)
      const failing = openAudit(path(), {})
      expect(new Set(await Promise.all(burst(failing.audit, 0)))).toEqual(new Set(['failed']))
      expect(failing.diagnostics.auditFailures).toBe(BURST)
      expect(new Set(failing.warned.map(({ object }) => object.code))).toEqual(new Set([code]))
      end()
      expect(new Set(await Promise.all(held))).toEqual(new Set(['durable']))
      expect(await failing.audit.started(startedEvent({ pid: BURST }))).toBe('durable')
      expect(readFileSync(path(), 'utf8')).toBe(startedLines(BURST + 1))
      expect(holding.warned).toEqual([])
    },
  )
})
