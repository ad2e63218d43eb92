import { spawn } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { startedEvent, startedLine } from '../../support/events'
import { openAudit } from '../../support/open-audit'
import { useTempDir } from '../../support/temp-dir'
import { endsWithin, until } from '../../support/waiting'

const MIB = 1024 * 1024
/** A second, as the writer waits, and some for the machine. */
const SETTLED_MS = 5_000

describe('a log to which another process goes on adding without newlines', () => {
  const dir = useTempDir()
  const log = () => readFileSync(dir.path('exec.log'), 'utf8')

  /** Appends a dot every millisecond until the test's end. */
  const addDots = async () => {
    const script = `const fs = require('node:fs')
      const fd = fs.openSync(process.argv[1], 'a')
      setInterval(() => fs.writeSync(fd, '.'), 1)`
    const child = spawn(process.execPath, ['-e', script, dir.path('exec.log')])
    children.push(child)
    const before = statSync(dir.path('exec.log')).size
    await until('nothing is added', () => statSync(dir.path('exec.log')).size > before)
    return child
  }
  const children: ReturnType<typeof spawn>[] = []
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })

  it('takes each event all the same, on a line of its own', async () => {
    const { audit, warned } = openAudit(dir.path('exec.log'))
    expect(await audit.started(startedEvent({ pid: 0 }))).toBe('durable')
    await addDots()
    for (const pid of [1, 2, 3]) {
      const outcome = audit.started(startedEvent({ pid }))
      expect(await endsWithin(outcome, SETTLED_MS)).toBe('ended')
      expect(await outcome).toBe('durable')
    }
    const lines = log().split('\n')
    for (const pid of [0, 1, 2, 3]) expect(lines).toContain(startedLine(pid).trimEnd())
    const codes = warned.map(({ object }) => ('code' in object ? object.code : undefined))
    expect(new Set(codes)).toEqual(new Set(['AUDIT_TORN_TAIL']))
  })

  it('goes on as before once the process has ended', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    await audit.started(startedEvent({ pid: 0 }))
    const child = await addDots()
    await audit.started(startedEvent({ pid: 1 }))
    const ended = new Promise((resolve) => child.on('exit', resolve))
    child.kill('SIGKILL')
    await ended
    await audit.started(startedEvent({ pid: 2 }))
    const { tornTails } = audit.stats().file
    await audit.started(startedEvent({ pid: 3 }))
    expect(log().endsWith(startedLine(2) + startedLine(3))).toBe(true)
    expect(audit.stats().file.tornTails).toBe(tornTails)
  })
})

describe('a log whose last line is torn and long', () => {
  const dir = useTempDir()

  it.each([
    [MIB - 1, `had ${MIB - 1} bytes without a newline at offset 3`],
    [MIB, `had at least ${MIB} bytes without a newline at offset 3`],
    [20 * MIB, `had at least ${MIB} bytes without a newline at offset ${19 * MIB + 3}`],
  ])('of %d bytes is looked at for a mebibyte at most', async (bytes, text) => {
    writeFileSync(dir.path('exec.log'), `{}\n${'x'.repeat(bytes)}`)
    const { audit, warned } = openAudit(dir.path('exec.log'))
    expect(await audit.started(startedEvent({ pid: 0 }))).toBe('durable')
    await audit.close()
    expect(warned.map(({ message }) => message)).toEqual([expect.stringContaining(text)])
    expect(statSync(dir.path('exec.log')).size).toBe(3 + bytes + 1 + startedLine(0).length)
  })
})
