import { readFileSync } from 'node:fs'
import { runChild } from '../support/children/run-child'
import { startedLines } from '../support/events'
import { useTempDir } from '../support/temp-dir'

const EVENTS = 600

/** The parts of each test's script: limits of this process that can be raised again, and a load. */
const PARTS = `
const fs = require('node:fs')
const { execFileSync } = require('node:child_process')
const limit = (name, soft) =>
  execFileSync('prlimit', ['--pid', String(process.pid), '--' + name + '=' + soft + ':'])
const diagnostics = new ExecDiagnostics()
const warned = new Set()
const start = (options) =>
  new ExecAudit({ enabled: true, auditLogPath: path }, diagnostics, {
    clock: () => 0,
    logger: { warn: ({ code, err }) => warned.add(code + ' ' + err.cause?.code) },
    ...options,
  })
const taken = Array.from({ length: 20 }, () => fs.openSync('/dev/null'))
const takeAll = () => { try { for (;;) taken.push(fs.openSync('/dev/null')) } catch {} }
const linkOf = (fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd) } catch { return '' } }
const logDescriptors = () => fs.readdirSync('/proc/self/fd').filter((fd) => linkOf(fd) === path)
let pid = 0
const outcomes = []
const record = (audit, events) => {
  const calls = Array.from({ length: events }, () => audit.started({ requestId, pid: pid++ }))
  for (const call of calls) outcomes.push(call)
  return Promise.all(calls)
}
const retried = async (audit) => {
  const before = audit.stats().groups.retries
  await until('nothing is tried again', () => audit.stats().groups.retries >= before + 3)
}
const tell = async (audit) => {
  const { failures, events, file } = audit.stats()
  const { folder, open, write, sync } = failures
  const counts = [events.failed, diagnostics.auditFailures, folder + open + write + sync]
  const all = await Promise.all(outcomes)
  await audit.close()
  const reported = { outcomes: all, counts, tornTails: file.tornTails, warned: [...warned] }
  fs.writeSync(1, JSON.stringify(reported))
}
`
/** Bytes that hold the first events and tear the line of one that follows. */
const FILE_BYTES = 20_000

/** Ways to run out of a resource, and to get it back. */
const LIMITS = [
  {
    name: 'a limit on file sizes',
    stage: 'AUDIT_WRITE_FAILED EFBIG',
    begin: `limit('fsize', ${FILE_BYTES})`,
    end: `limit('fsize', 'unlimited')`,
  },
  {
    name: 'no free descriptor',
    stage: 'AUDIT_OPEN_FAILED EMFILE',
    // The log's own numbers lie above the limit, so that closing it frees none.
    begin: `
      limit('nofile', Math.min(...logDescriptors()))
      takeAll()
      fs.renameSync(path, path + '.1')`,
    end: `
      for (const fd of taken) fs.closeSync(fd)`,
  },
] as const

interface Report {
  readonly outcomes: readonly string[]
  readonly counts: readonly number[]
  readonly tornTails: number
  readonly warned: readonly string[]
}

describe('a process that runs into', () => {
  const dir = useTempDir()
  const run = async (script: string): Promise<Report> => {
    const end = await runChild(`${PARTS} const run = async () => { ${script} }\nrun()`, [
      dir.path('exec.log'),
    ])
    // The signal of a file that is too large (SIGXFSZ) must not end the process either.
    expect({ code: end.code, signal: end.signal, stderr: end.stderr }).toEqual({
      code: 0,
      signal: null,
      stderr: '',
    })
    return JSON.parse(end.stdout)
  }
  const read = () =>
    ['exec.log.1', 'exec.log'].map((name) => {
      try {
        return readFileSync(dir.path(name), 'utf8')
      } catch {
        return ''
      }
    })

  it.each(LIMITS)('$name holds the events with retryForMs', async ({ begin, end }) => {
    const reported = await run(`
      const audit = start({ retryForMs: 30_000 })
      await record(audit, 100)
      ${begin}
      const held = record(audit, ${EVENTS})
      await retried(audit)
      ${end}
      await held
      await record(audit, 100)
      await tell(audit)`)
    expect(new Set(reported.outcomes)).toEqual(new Set(['durable']))
    expect([reported.counts, reported.tornTails, reported.warned]).toEqual([[0, 0, 0], 0, []])
    expect(read().join('')).toBe(startedLines(EVENTS + 200))
  })

  it.each(LIMITS)('$name fails the events without retryForMs', async ({ begin, end, stage }) => {
    const reported = await run(`
      const audit = start({})
      await record(audit, 100)
      ${begin}
      for (let i = 0; i < 5; i++) await record(audit, ${EVENTS / 5})
      ${end}
      await record(audit, 100)
      await tell(audit)`)
    const failed = reported.outcomes.filter((outcome) => outcome === 'failed').length
    expect(failed).toBeGreaterThan(EVENTS / 2)
    expect(reported.counts).toEqual([failed, failed, failed])
    expect(new Set(reported.outcomes.slice(-100))).toEqual(new Set(['durable']))
    expect(reported.warned.filter((text) => !text.startsWith('AUDIT_TORN_TAIL'))).toEqual([
      stage,
      'AUDIT_RECOVERED undefined',
    ])
    const lines = read().join('').trimEnd().split('\n')
    const torn = lines.filter((line) => !line.endsWith('}'))
    expect(torn.length).toBe(reported.tornTails)
    const kept = lines.filter((line) => line.endsWith('}')).map((l): number => JSON.parse(l).pid)
    expect(kept).toEqual([...new Set(kept)].sort((a, b) => a - b))
    const durable = reported.outcomes.flatMap((outcome, pid) =>
      outcome === 'durable' ? [pid] : [],
    )
    expect(durable.filter((pid) => !kept.includes(pid))).toEqual([])
  })

  it('no free descriptor from its start on: it recovers when there are some', async () => {
    const reported = await run(`
      limit('nofile', 128)
      takeAll()
      const audit = start({})
      await record(audit, 10)
      for (const fd of taken) fs.closeSync(fd)
      await record(audit, 10)
      await tell(audit)`)
    const outcomes = ['failed', 'durable'].flatMap((outcome) => new Array<string>(10).fill(outcome))
    expect(reported.outcomes).toEqual(outcomes)
    expect(reported.counts.slice(0, 2)).toEqual([10, 10])
  })
})
