import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { constants } from 'node:os'
import { ioError } from '../../../src/writer/failure/audit-error'
import { startedEvent, startedLine, startedLines } from '../../support/events'
import { openAudit } from '../../support/open-audit'
import { useTempDir } from '../../support/temp-dir'

const modeOf = (path: string) => statSync(path).mode & 0o777

describe('Sink', () => {
  const dir = useTempDir()
  const read = (name: string) => readFileSync(dir.path(name), 'utf8')

  it.each([[0o000], [0o022], [0o077]])(
    'gives the file and its folders the configured modes with umask %o',
    async (umask) => {
      const before = process.umask(umask)
      try {
        const path = dir.path('a/b/exec.log')
        await openAudit(path).audit.started(startedEvent())
        const modes = [path, dir.path('a/b'), dir.path('a')].map(modeOf)
        expect(modes).toEqual([0o600, 0o700, 0o700])
        const custom = openAudit(dir.path('c/exec.log'), { fileMode: 0o640, dirMode: 0o750 })
        await custom.audit.started(startedEvent())
        expect([dir.path('c/exec.log'), dir.path('c')].map(modeOf)).toEqual([0o640, 0o750])
      } finally {
        process.umask(before)
      }
    },
  )

  it('keeps the mode of a file and folder that were there', async () => {
    mkdirSync(dir.path('d'), { mode: 0o755 })
    writeFileSync(dir.path('d/exec.log'), '')
    chmodSync(dir.path('d/exec.log'), 0o644)
    await openAudit(dir.path('d/exec.log')).audit.started(startedEvent())
    expect([dir.path('d'), dir.path('d/exec.log')].map(modeOf)).toEqual([0o755, 0o644])
  })

  it('follows a rename, without a signal', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    await audit.started(startedEvent({ pid: 0 }))
    renameSync(dir.path('exec.log'), dir.path('exec.log.1'))
    await audit.started(startedEvent({ pid: 1 }))
    expect([read('exec.log.1'), read('exec.log')]).toEqual([startedLine(0), startedLine(1)])
  })

  it('makes the file again after it, or its folder, was deleted', async () => {
    const { audit } = openAudit(dir.path('logs/exec.log'))
    await audit.started(startedEvent({ pid: 0 }))
    rmSync(dir.path('logs/exec.log'))
    expect(await audit.started(startedEvent({ pid: 1 }))).toBe('durable')
    expect(read('logs/exec.log')).toBe(startedLine(1))
    rmSync(dir.path('logs'), { recursive: true })
    expect(await audit.started(startedEvent({ pid: 2 }))).toBe('durable')
    expect(read('logs/exec.log')).toBe(startedLine(2))
  })

  it('appends at the new end after a copytruncate', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    await audit.started(startedEvent({ pid: 0 }))
    truncateSync(dir.path('exec.log'))
    await audit.started(startedEvent({ pid: 1 }))
    expect(read('exec.log')).toBe(startedLine(1))
  })

  it('opens the path afresh at a reopen(), in its turn, and makes the file', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const before = audit.started(startedEvent({ pid: 0 }))
    expect(await before).toBe('durable')
    renameSync(dir.path('exec.log'), dir.path('exec.log.1'))
    expect(await audit.reopen()).toBe('durable')
    expect(read('exec.log')).toBe('')
    const opens = audit.stats().file.opens
    const outcomes = [audit.started(startedEvent({ pid: 1 })), audit.reopen(), audit.reopen()]
    expect(await Promise.all(outcomes)).toEqual(['durable', 'durable', 'durable'])
    expect(read('exec.log')).toBe(startedLine(1))
    expect(audit.stats().file.opens).toBe(opens + 2)
  })

  it.each([
    ['a fragment', 'line\n{"torn', 5, 6],
    ['only a fragment', '{"torn', 0, 6],
    ['a fragment of many reads', `line\n${'x'.repeat(200_000)}`, 5, 200_000],
    ['only one of many reads', 'x'.repeat(200_000), 0, 200_000],
    ['one just as long as a read', `line\n${'x'.repeat(65_536)}`, 5, 65_536],
    ['a hole of zero bytes', `line\n${'\0'.repeat(4096)}`, 5, 4096],
    ['a character cut in half', 'line\n"\xe2', 5, 3],
  ])(
    'closes %s at its end with a newline, reports and keeps it',
    async (_, torn, offset, bytes) => {
      const path = dir.path('exec.log')
      writeFileSync(path, torn)
      let report = (_message: string) => {}
      const reported = new Promise<string>((resolve) => {
        report = resolve
      })
      const logger = { warn: (_object: object, message: string) => report(message) }
      expect(await openAudit(path, { logger }).audit.started(startedEvent({ pid: 0 }))).toBe(
        'durable',
      )
      expect(await reported).toBe(
        `exec audit: ${path} had ${bytes} bytes without a newline at offset ${offset}, left by a crash or a full disk; they were closed with one and kept`,
      )
      expect(readFileSync(path, 'utf8')).toBe(`${torn}\n${startedLine(0)}`)
    },
  )

  it('leaves a file that ends with a newline, or is empty, as it is', async () => {
    writeFileSync(dir.path('exec.log'), 'line\n')
    const { audit, warned } = openAudit(dir.path('exec.log'))
    await audit.started(startedEvent({ pid: 0 }))
    expect(read('exec.log')).toBe(`line\n${startedLine(0)}`)
    expect([warned, audit.stats().file.tornTails]).toEqual([[], 0])
  })

  it('fails with AUDIT_FOLDER_FAILED under a file, and recovers when that goes', async () => {
    writeFileSync(dir.path('logs'), 'a file')
    const { audit } = openAudit(dir.path('logs/deep/exec.log'), { failureMode: 'closed' })
    const rejection = expect(audit.started(startedEvent())).rejects
    await rejection.toMatchObject({
      name: 'AuditError',
      code: 'AUDIT_FOLDER_FAILED',
      message: `cannot make or sync the log's folder ${dir.path('logs/deep')}: ENOTDIR: not a directory; a part of the path is not a folder`,
      cause: { code: 'ENOTDIR', message: 'ENOTDIR: not a directory', path: dir.path('logs/deep') },
    })
    rmSync(dir.path('logs'))
    expect(await audit.started(startedEvent({ pid: 1 }))).toBe('durable')
    expect(read('logs/deep/exec.log')).toBe(startedLine(1))
  })

  it('names the folder, and a remedy, if the folder fails and not the file', () => {
    const failure = { stage: 'folder', reason: constants.errno.EACCES } as const
    expect(ioError(failure, '/var/log/x0x/exec.log').message).toBe(
      "cannot make or sync the log's folder /var/log/x0x: EACCES: permission denied; make the folder, and give this user read, write and search permission on it",
    )
  })

  it('takes lines of several writers in one process, whole and each in its order', async () => {
    const path = dir.path('exec.log')
    const audits = [openAudit(path), openAudit(path), openAudit(path)]
    const outcomes = audits.flatMap(({ audit }, writer) =>
      Array.from({ length: 500 }, (_, i) =>
        audit.started(startedEvent({ pid: writer * 1000 + i })),
      ),
    )
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['durable']))
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    const pids = lines.map((line): number => JSON.parse(line).pid)
    for (let writer = 0; writer < 3; writer++) {
      const own = pids.filter((pid) => Math.floor(pid / 1000) === writer)
      expect(own).toEqual(Array.from({ length: 500 }, (_, i) => writer * 1000 + i))
    }
  })

  it("does not sync with method 'none', and the outcome is 'written'", async () => {
    const { audit } = openAudit(dir.path('exec.log'), { fsync: { method: 'none' } })
    expect(await audit.started(startedEvent({ pid: 0 }))).toBe('written')
    expect(audit.stats().syncs.count).toBe(0)
    expect(read('exec.log')).toBe(startedLine(0))
  })

  it.each([[1], [7]])('bounds the events of each group by maxEvents: %i', async (maxEvents) => {
    const { audit } = openAudit(dir.path('exec.log'), { fsync: { maxEvents } })
    const outcomes = Array.from({ length: 50 }, (_, pid) => audit.started(startedEvent({ pid })))
    await Promise.all(outcomes)
    const { groups, syncs } = audit.stats()
    expect(groups.events.max).toBeLessThanOrEqual(maxEvents)
    expect(syncs.count).toBe(groups.count)
    if (maxEvents === 1) expect(syncs.count).toBe(50)
    expect(read('exec.log')).toBe(startedLines(50))
  })

  it('bounds the bytes of each group by maxBytes, but writes a longer line', async () => {
    const maxBytes = startedLine(10).length * 2 + 1
    const { audit } = openAudit(dir.path('exec.log'), { fsync: { maxBytes } })
    appendFileSync(dir.path('exec.log'), '')
    const pids = Array.from({ length: 20 }, (_, i) => i + 10)
    await Promise.all(pids.map((pid) => audit.started(startedEvent({ pid }))))
    expect(audit.stats().groups.events.max).toBe(2)
    expect(audit.stats().groups.bytes).toBe(startedLine(10).length * 20)
    expect(existsSync(dir.path('exec.log'))).toBe(true)
  })

  it('lets a group wait maxDelayMs for more events, until drain() ends the wait', async () => {
    const { audit } = openAudit(dir.path('exec.log'), { fsync: { maxDelayMs: 60_000 } })
    const first = audit.started(startedEvent({ pid: 0 }))
    const second = audit.started(startedEvent({ pid: 1 }))
    await audit.drain()
    expect(await Promise.all([first, second])).toEqual(['durable', 'durable'])
    expect(audit.stats().groups.count).toBe(1)
    const third = audit.started(startedEvent({ pid: 2 }))
    expect(audit.drainSync()).toBe(true)
    expect(await third).toBe('durable')
    expect(read('exec.log')).toBe(startedLines(3))
  })
})
