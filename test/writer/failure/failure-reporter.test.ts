import { ExecDiagnostics } from '../../../src'
import { FailureReporter } from '../../../src/writer/failure/failure-reporter'
import { noWarnings, warning } from '../../../src/writer/failure/warnings'

describe('FailureReporter', () => {
  afterEach(() => jest.restoreAllMocks())

  const setUp = () => {
    const diagnostics = new ExecDiagnostics()
    const messages: string[] = []
    const logger = { warn: (_: object, message: string) => messages.push(message) }
    return {
      diagnostics,
      messages,
      reporter: new FailureReporter('/exec.log', diagnostics, logger),
    }
  }
  const at = (ms: number) => jest.spyOn(performance, 'now').mockReturnValue(ms)

  it('limits the text of a warning after ten, and never the count', () => {
    const { diagnostics, messages, reporter } = setUp()
    at(5_000)
    for (let i = 0; i < 1_000; i++) reporter.note('write', new Error('disk full'))
    reporter.flush()
    expect(messages).toEqual(new Array(10).fill('exec audit: disk full'))
    expect(diagnostics.auditFailures).toBe(1_000)
    expect(reporter.counts.write).toBe(1_000)

    at(6_000)
    reporter.note('write', new Error('disk full'))
    reporter.flush()
    expect(messages.at(-1)).toBe('exec audit: disk full (and 990 more like it)')
    expect(messages).toHaveLength(11)
    expect(reporter.warnings.suppressed).toBe(990)
  })

  it('limits each text by itself, and all together', () => {
    const { messages, reporter } = setUp()
    at(5_000)
    for (let i = 0; i < 20; i++) reporter.note('open', new Error('a'))
    reporter.note('open', new Error('b'))
    reporter.flush()
    expect(messages).toEqual([...new Array(10).fill('exec audit: a'), 'exec audit: b'])
    for (let i = 0; i < 500; i++) reporter.note('open', new Error(`text ${i}`))
    reporter.flush()
    expect(messages).toHaveLength(200)
  })

  it('reports once that the file takes events again, and for how long it took none', () => {
    const { messages, reporter } = setUp()
    reporter.noteSuccess()
    at(5_000)
    reporter.note('sync', new Error('a'))
    at(6_000)
    reporter.note('open', new Error('b'))
    at(98_060)
    reporter.noteSuccess()
    reporter.noteSuccess()
    reporter.flush()
    reporter.note('folder', new Error('c'))
    at(98_071.2)
    reporter.noteSuccess()
    reporter.flush()
    expect(messages).toEqual([
      'exec audit: a',
      'exec audit: b',
      'exec audit: /exec.log takes events again: 2 failed within 93.1 s',
      'exec audit: c',
      'exec audit: /exec.log takes events again: 1 failed within 12 ms',
    ])
    expect(reporter.warnings.byCode).toEqual({ ...noWarnings(), AUDIT_RECOVERED: 2 })
  })

  it('limits that report too, whatever its figures are', () => {
    const { messages, reporter } = setUp()
    for (let i = 0; i < 1_000; i++) {
      at(5_000 + i / 2)
      for (let failed = 0; failed <= i % 3; failed++) reporter.note('write', new Error('disk full'))
      reporter.noteSuccess()
    }
    reporter.flush()
    expect(messages.filter((text) => text.includes('takes events again'))).toHaveLength(10)
    expect(reporter.warnings.byCode.AUDIT_RECOVERED).toBe(1_000)
  })

  it.each(['encode', 'closed', 'full'] as const)('a failure at %s is not the file’s', (kind) => {
    const { messages, reporter } = setUp()
    reporter.note(kind, new Error('a'))
    reporter.noteSuccess()
    reporter.flush()
    expect(messages).toEqual(['exec audit: a'])
  })

  it('reports nothing before flush, and takes the failures that the logger itself causes', () => {
    const diagnostics = new ExecDiagnostics()
    const messages: string[] = []
    const reporter: FailureReporter = new FailureReporter('/exec.log', diagnostics, {
      warn: (_, message) => {
        if (messages.push(message) === 1) reporter.note('closed', new Error('second'))
      },
    })
    reporter.note('full', new Error('first'))
    reporter.noteWarning(warning('AUDIT_TORN_TAIL', 'third'))
    expect([messages, diagnostics.auditFailures]).toEqual([[], 0])
    reporter.flush()
    expect(messages).toEqual(['exec audit: first', 'exec audit: third', 'exec audit: second'])
    expect(diagnostics.auditFailures).toBe(2)
    expect(reporter.warnings).toEqual({
      suppressed: 0,
      byCode: { ...noWarnings(), AUDIT_TORN_TAIL: 1 },
    })
  })
})
