import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { startedEvent, startedLine, startedLines } from '../../support/events'
import { openAudit } from '../../support/open-audit'
import { itWithMounts, privileged } from '../../support/privileged'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

const PAGE_BYTES = 4096

describe('a full disk', () => {
  let mounted = ''
  // Before the folder's own clean-up, which is registered next: hooks run in that order.
  afterEach(() => {
    privileged('umount', '-l', mounted)
  })
  const dir = useTempDir()
  beforeEach(() => {
    mounted = dir.path('small')
    mkdirSync(mounted)
    privileged('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mounted)
  })

  /** Leaves only this many bytes free. */
  const fill = (freeBytes: number) =>
    writeFileSync(`${mounted}/fill`, Buffer.alloc(65_536 - freeBytes))
  const read = () => readFileSync(`${mounted}/exec.log`, 'utf8')

  itWithMounts(
    'fails events that do not fit; when space returns, the fragment is closed and kept',
    async () => {
      const { audit, warned, diagnostics } = openAudit(`${mounted}/exec.log`)
      await audit.started(startedEvent({ pid: 0 }))
      fill(PAGE_BYTES)
      const outcomes = await Promise.all(
        Array.from({ length: 200 }, (_, pid) => audit.started(startedEvent({ pid }))),
      )
      const failed = outcomes.filter((outcome) => outcome === 'failed').length
      expect(failed).toBeGreaterThan(100)
      expect(diagnostics.auditFailures).toBe(failed)
      expect(audit.stats().failures.write).toBe(failed)
      expect(warned[0]?.object).toMatchObject({ code: 'AUDIT_WRITE_FAILED', stage: 'write' })
      const torn = read()
      expect(torn.length).toBe(PAGE_BYTES)

      rmSync(`${mounted}/fill`)
      expect(await audit.started(startedEvent({ pid: 999 }))).toBe('durable')
      expect(read()).toBe(`${torn}\n${startedLine(999)}`)
      expect(audit.stats().file.tornTails).toBe(1)
    },
  )

  itWithMounts('that has room again is reported once, and not by a reopen', async () => {
    const { audit, warned } = openAudit(`${mounted}/exec.log`)
    await audit.started(startedEvent())
    writeFileSync(`${mounted}/exec.log`, Buffer.alloc(65_536, '\n'))
    expect(await audit.started(startedEvent())).toBe('failed')
    // A reopen writes nothing, so it does not show whether there is room.
    expect(await audit.reopen()).toBe('durable')
    expect(await audit.started(startedEvent())).toBe('failed')
    expect(warned.map(({ object }) => object.code)).toEqual(Array(2).fill('AUDIT_WRITE_FAILED'))

    writeFileSync(`${mounted}/exec.log`, '')
    expect(await audit.started(startedEvent())).toBe('durable')
    expect(await audit.started(startedEvent())).toBe('durable')
    expect(warned.slice(2).map(({ object }) => object.code)).toEqual(['AUDIT_RECOVERED'])
    const reported = `exec audit: ${mounted}/exec.log takes events again: 2 failed within`
    expect(warned[2]?.message.replace(/ \d+ ms$| \d+\.\d s$/, '')).toBe(reported)
    expect(audit.stats().warnings.byCode.AUDIT_RECOVERED).toBe(1)
  })

  itWithMounts('right before a newline leaves a line that is whole, and closes it', async () => {
    const { audit, warned } = openAudit(`${mounted}/exec.log`)
    const line = startedLine(0)
    await audit.started(startedEvent({ pid: 0 }))
    fill(PAGE_BYTES)
    // The number of lines with an extra digit is such that the page ends where the last newline would stand.
    const lines = Math.floor((PAGE_BYTES + 1) / line.length)
    const pids = Array.from({ length: lines - 1 }, (_, i) =>
      i < PAGE_BYTES + 1 - lines * line.length ? 10 : 1,
    )
    const outcomes = await Promise.all(pids.map((pid) => audit.started(startedEvent({ pid }))))
    expect(outcomes.at(-1)).toBe('failed')
    const text = line + pids.map(startedLine).join('')
    expect(read()).toBe(text.trimEnd())

    rmSync(`${mounted}/fill`)
    expect(await audit.started(startedEvent({ pid: 999 }))).toBe('durable')
    expect(read()).toBe(text + startedLine(999))
    await audit.close()
    const offset = text.length - line.length
    const reported = warned.filter(({ object }) => object.code === 'AUDIT_TORN_TAIL')
    expect(reported.map(({ message }) => message)).toEqual([
      `exec audit: ${mounted}/exec.log had ${line.length - 1} bytes without a newline at offset ${offset}, left by a crash or a full disk; they were closed with one and kept`,
    ])
  })

  itWithMounts(
    'with retryForMs holds the group, and completes its torn line when space returns',
    async () => {
      const { audit, warned } = openAudit(`${mounted}/exec.log`, { retryForMs: 60_000 })
      await audit.started(startedEvent({ pid: 0 }))
      fill(PAGE_BYTES)
      const outcomes = Array.from({ length: 200 }, (_, i) =>
        audit.started(startedEvent({ pid: i + 1 })),
      )
      await until('nothing is tried again', () => audit.stats().groups.retries >= 3)
      expect(read().length).toBe(PAGE_BYTES)

      rmSync(`${mounted}/fill`)
      expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['durable']))
      expect(read()).toBe(startedLines(201))
      expect([warned, audit.stats().file.tornTails]).toEqual([[], 0])
    },
  )
})
