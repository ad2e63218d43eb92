import { readFileSync } from 'node:fs'
import { runChild } from '../../support/children/run-child'
import { itWithStrace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'

const IN_FLIGHT = 200
const EVENTS = times('EVENTS', 3_000, 20_000)
/** Groups are no larger than the events in flight, so there are at least this many syncs. */
const SYNCS_MIN = EVENTS / IN_FLIGHT

/** Keeps many events in flight; prints the outcome of each pid, and all counts and warnings. */
const SCRIPT = `
const run = async (options) => {
  const diagnostics = new ExecDiagnostics()
  const warned = []
  const logger = { warn: ({ code, err }) => warned.push(code + ' ' + err.cause?.code) }
  const policy = { enabled: true, auditLogPath: path }
  const audit = new ExecAudit(policy, diagnostics, { clock: () => 0, logger, ...options })
  const outcomes = []
  let pid = 0
  const start = performance.now()
  const loop = async () => {
    while (pid < ${EVENTS}) {
      const mine = pid++
      outcomes[mine] = await audit.started({ requestId, pid: mine })
    }
  }
  await Promise.all(Array.from({ length: ${IN_FLIGHT} }, loop))
  const seconds = (performance.now() - start) / 1000
  await audit.close()
  const { failures, events, groups, file } = audit.stats()
  const counts = [diagnostics.auditFailures, failures.sync, events.failed]
  const reported = { outcomes, counts, warned, seconds, retries: groups.retries, opens: file.opens }
  require('node:fs').writeSync(1, JSON.stringify(reported))
}
`

interface Report {
  readonly outcomes: readonly string[]
  readonly counts: readonly number[]
  readonly warned: readonly string[]
  readonly seconds: number
  readonly retries: number
  readonly opens: number
}

interface Traced {
  /** Pids for which an fdatasync has returned 0, on the descriptor that they were written to. */
  readonly synced: Set<number>
  readonly failedSyncs: number
  /** Calls on a descriptor after its sync had failed. */
  readonly misused: readonly string[]
}

/** Reads a trace of the log's system calls, all of them the worker's. */
function judge(trace: string): Traced {
  const synced = new Set<number>()
  const misused: string[] = []
  const written = new Map<string, number[]>()
  const dead = new Set<string>()
  let failedSyncs = 0
  for (const line of trace.split('\n')) {
    const [, call = '', fd = ''] = /^\d+ +(\w+)\((\w+)/.exec(line) ?? []
    const result = / = (-?\d+)[^=]*$/.exec(line)?.[1] ?? ''
    if (call === 'openat') {
      written.set(result, [])
      dead.delete(result)
    }
    if ((call === 'write' || call === 'fdatasync') && dead.has(fd)) misused.push(line.slice(0, 80))
    if (call === 'write') {
      for (const [, pid] of line.matchAll(/\\"pid\\":(\d+)/g)) written.get(fd)?.push(Number(pid))
    }
    if (call !== 'fdatasync') continue
    if (result === '0') {
      for (const pid of written.get(fd)?.splice(0) ?? []) synced.add(pid)
    } else {
      failedSyncs++
      dead.add(fd)
    }
  }
  return { synced, failedSyncs, misused }
}

/** The report on the first event after those that failed. */
const RECOVERED = 'AUDIT_RECOVERED undefined'
/** The error, how long it lasts, which syncs fail, and how many they are. */
const CASES = ['EIO', 'EROFS', 'ENOSPC', 'EINVAL'].flatMap((errno) => [
  [errno, 'once', '3', 1] as const,
  [errno, 'for a while', '3..6', 4] as const,
])

describe('a sync that fails under load', () => {
  const dir = useTempDir()

  const run = async (when: string, errno: string, options: string) => {
    const [path, trace] = [dir.path('exec.log'), dir.path('trace')]
    const inject = `inject=fdatasync:error=${errno}:when=${when}`
    const calls = 'trace=openat,write,fdatasync'
    const tracer = [
      'strace',
      '-f',
      '-qq',
      '-e',
      'signal=none',
      '-s',
      '4000000',
      '-P',
      path,
      '-o',
      trace,
    ]
    const wrapper = [...tracer, '-e', calls, '-e', inject]
    const end = await runChild(`${SCRIPT} run(${options})`, [path], wrapper)
    expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
    const reported: Report = JSON.parse(end.stdout)
    const traced = judge(readFileSync(trace, 'utf8'))
    // After a failed sync a line may have a blank one before it.
    const lines = readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
    const pids = lines.map((line): number => JSON.parse(line).pid)
    return { reported, traced, pids }
  }
  const ALL = Array.from({ length: EVENTS }, (_, pid) => pid)

  itWithStrace.each(CASES)(
    'with %s %s fails those events and no others, and it recovers by itself',
    async (errno, _, when, failedSyncs) => {
      expect(SYNCS_MIN).toBeGreaterThan(8)
      const { reported, traced, pids } = await run(when, errno, '{}')
      expect(traced.misused).toEqual([])
      expect(traced.failedSyncs).toBe(failedSyncs)
      // Each failed group was written once, so its lines are in the file; that does not make them durable.
      expect(pids).toEqual(ALL)
      expect(reported.outcomes).toEqual(
        ALL.map((pid) => (traced.synced.has(pid) ? 'durable' : 'failed')),
      )
      const failed = EVENTS - traced.synced.size
      expect(reported.counts).toEqual([failed, failed, failed])
      expect(reported.opens).toBe(1 + failedSyncs)
      expect(reported.outcomes.at(-1)).toBe('durable')
      expect(reported.warned.at(-1)).toBe(RECOVERED)
      expectLimited(reported, failed, errno)
    },
  )

  itWithStrace.each(CASES)(
    'with %s %s and retryForMs loses nothing: the group goes again to a fresh file',
    async (errno, _, when, failedSyncs) => {
      const { reported, traced, pids } = await run(when, errno, '{ retryForMs: 60_000 }')
      expect(traced.misused).toEqual([])
      expect(traced.failedSyncs).toBe(failedSyncs)
      expect(traced.synced.size).toBe(EVENTS)
      expect(reported.outcomes).toEqual(ALL.map(() => 'durable'))
      expect([reported.counts, reported.warned]).toEqual([[0, 0, 0], []])
      expect([reported.retries, reported.opens]).toEqual([failedSyncs, 1 + failedSyncs])
      // Per failed sync one group stands in the file again, whole and in one piece.
      expectOneGroupAgain(pids, failedSyncs)
    },
  )

  itWithStrace.each([
    ['EIO', '{}'],
    ['EROFS', '{ retryForMs: 30 }'],
  ])(
    'with %s for ever fails all that follow, with %s, and does not hang',
    async (errno, options) => {
      const { reported, traced } = await run('3+', errno, options)
      expect(traced.misused).toEqual([])
      expect(reported.outcomes).toEqual(
        ALL.map((pid) => (traced.synced.has(pid) ? 'durable' : 'failed')),
      )
      const failed = EVENTS - traced.synced.size
      expect(failed).toBeGreaterThanOrEqual(EVENTS - 2 * IN_FLIGHT)
      expect(reported.counts).toEqual([failed, failed, failed])
      expect(reported.warned.at(-1)).not.toBe(RECOVERED)
      expectLimited(reported, failed, errno)
    },
  )
})

/** Ten warnings of one text, then one per second; and perhaps finally the end of the failure. */
function expectLimited(reported: Report, failed: number, errno: string): void {
  const { seconds } = reported
  const warned = reported.warned.filter(
    (text, i) => text !== RECOVERED || i < reported.warned.length - 1,
  )
  expect(new Set(warned)).toEqual(new Set([`AUDIT_SYNC_FAILED ${errno}`]))
  expect(warned.length).toBeGreaterThanOrEqual(Math.min(10, failed))
  expect(warned.length).toBeLessThanOrEqual(10 + Math.floor(seconds))
}

/** The pids count up, but for one run of them that is there `copies` more times, one after another. */
function expectOneGroupAgain(pids: readonly number[], copies: number): void {
  const back = pids.findIndex((pid, i) => i > 0 && pid !== (pids[i - 1] ?? 0) + 1)
  const first = pids[back] ?? 0
  const group = pids.slice(first, back)
  const again = Array.from({ length: copies }, () => group).flat()
  const rest = Array.from({ length: EVENTS - back }, (_, i) => back + i)
  expect(pids).toEqual([...pids.slice(0, back), ...again, ...rest])
  expect(pids.slice(0, back)).toEqual(Array.from({ length: back }, (_, i) => i))
}
