import { Writable } from 'node:stream'
import { pino } from 'pino'
import * as winston from 'winston'
import { MemoryAudit } from '../../../src/testing'
import { startedEvent } from '../../support/events'
import { openAudit } from '../../support/open-audit'
import { useTempDir } from '../../support/temp-dir'

/** A mistake is warned of and never written. */
const MISTAKEN = startedEvent({ pid: -1 })
const MISTAKE = 'exec audit: pid: expected an integer from 0 to 2^32 - 1, got the number -1'

describe('the logger', () => {
  const dir = useTempDir()

  /** A real pino, and the lines it has written, without what differs from run to run. */
  const openPino = () => {
    const lines: unknown[] = []
    const stream = new Writable({
      write(chunk, _, done) {
        const { level, code, stage, suppressed, msg, component } = JSON.parse(String(chunk))
        lines.push({ level, code, stage, suppressed, msg, component })
        done()
      },
    })
    return { log: pino(stream), lines }
  }
  const reported = {
    level: 40,
    code: 'AUDIT_INVALID_EVENT',
    stage: 'encode',
    suppressed: 0,
    msg: MISTAKE,
  }

  it('may be a pino', async () => {
    const { log, lines } = openPino()
    const { audit } = openAudit(dir.path('exec.log'), { logger: log })
    expect(await audit.started(MISTAKEN)).toBe('failed')
    expect(lines).toEqual([{ ...reported, component: undefined }])
  })

  it('may be a child of one', async () => {
    const { log, lines } = openPino()
    const { audit } = openAudit(dir.path('exec.log'), { logger: log.child({ component: 'audit' }) })
    await audit.started(MISTAKEN)
    expect(lines).toEqual([{ ...reported, component: 'audit' }])
  })

  it('may be one in unit tests, too', async () => {
    const { log, lines } = openPino()
    await new MemoryAudit({ logger: log }).started(MISTAKEN)
    expect(lines).toEqual([{ ...reported, component: undefined }])
  })

  it.each(['a logger', 'a child', 'winston itself'])('may be one of winston: %s', async (which) => {
    const lines: unknown[] = []
    const stream = new Writable({
      write(chunk, _, done) {
        lines.push(JSON.parse(String(chunk)))
        done()
      },
    })
    const transports = [new winston.transports.Stream({ stream })]
    winston.configure({ transports })
    const logger = winston.createLogger({ transports })
    const child = logger.child({ component: 'audit' })
    const log = which === 'a logger' ? logger : which === 'a child' ? child : winston
    const { audit } = openAudit(dir.path('exec.log'), { logger: log })
    expect(await audit.started(MISTAKEN)).toBe('failed')
    const { code, stage, suppressed } = reported
    expect(lines).toEqual([
      expect.objectContaining({ level: 'warn', message: MISTAKE, code, stage, suppressed }),
    ])
  })

  it('may be the console', async () => {
    const warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined)
    const { audit } = openAudit(dir.path('exec.log'), { logger: console })
    await audit.started(MISTAKEN)
    expect(warn.mock.calls.map(([, message]: unknown[]) => message)).toEqual([MISTAKE])
    warn.mockRestore()
  })

  it('may get its method later than the audit gets it', async () => {
    const logger = { warn: () => undefined }
    const { audit } = openAudit(dir.path('exec.log'), { logger })
    const warn = jest.spyOn(logger, 'warn')
    await audit.started(MISTAKEN)
    expect(warn.mock.calls.map(([, message]: unknown[]) => message)).toEqual([MISTAKE])
    expect(warn.mock.contexts).toEqual([logger])
  })
})
