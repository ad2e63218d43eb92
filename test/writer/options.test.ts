import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ExecAudit, type ExecAuditOptions, ExecDiagnostics, loadExecPolicy } from '../../src'
import { checkOptions } from '../../src/writer/options'
import { checkPolicy } from '../../src/writer/policy'
import { useTempDir } from '../support/temp-dir'

function messageOf(construct: () => unknown): string {
  try {
    construct()
  } catch (thrown) {
    return thrown instanceof Error ? `${thrown.constructor.name} ${thrown.message}` : 'no error'
  }
  return 'nothing thrown'
}

/** Constructs as a JavaScript user could, whatever the types say. */
function construct(...args: readonly unknown[]): unknown {
  return Reflect.construct(ExecAudit, args)
}

describe('a mistake in the options', () => {
  const dir = useTempDir()
  const withOptions = (options: unknown) =>
    messageOf(() =>
      construct({ enabled: true, auditLogPath: dir.path('x.log') }, new ExecDiagnostics(), options),
    )

  it.each<[unknown, string]>([
    [null, 'TypeError options: expected an object, got null'],
    [7, 'TypeError options: expected an object, got the number 7'],
    [[], 'TypeError options: expected an object, got an array'],
    [{ fsync: 5 }, 'TypeError options.fsync: expected an object, got the number 5'],
    [
      { ringBytes: 1023 },
      'RangeError options.ringBytes: expected an integer from 1024 to 1073741824, got the number 1023',
    ],
    [
      { ringBytes: '1 MiB' },
      'RangeError options.ringBytes: expected an integer from 1024 to 1073741824, got "1 MiB"',
    ],
    [
      { fsync: { maxEvents: 0 } },
      'RangeError options.fsync.maxEvents: expected an integer from 1 to 2147483647, got the number 0',
    ],
    [
      { fsync: { maxBytes: 1.5 } },
      'RangeError options.fsync.maxBytes: expected an integer from 1 to 1073741824, got the number 1.5',
    ],
    [
      { fsync: { maxDelayMs: Number.NaN } },
      'RangeError options.fsync.maxDelayMs: expected a number from 0 to 60000, got the number NaN',
    ],
    [
      { fsync: { method: 'O_DSYNC' } },
      'RangeError options.fsync.method: expected one of fdatasync, fsync, none, got "O_DSYNC"',
    ],
    [
      { onFull: 'drop' },
      'RangeError options.onFull: expected one of wait, block, fail, got "drop"',
    ],
    [
      { failureMode: true },
      'TypeError options.failureMode: expected one of open, closed, got the boolean true',
    ],
    [
      { fileMode: 0o7777 },
      'RangeError options.fileMode: expected an integer from 0 to 511, got the number 4095',
    ],
    [{ redact: 'all' }, 'RangeError options.redact: expected a function, got "all"'],
    [
      { logger: { info() {} } },
      'TypeError options.logger: expected an object with a warn(obj, msg) method, got an object',
    ],
    [{ drainOnExit: 1 }, 'RangeError options.drainOnExit: expected a boolean, got the number 1'],
    [
      { exitDrainMs: 600_001 },
      'RangeError options.exitDrainMs: expected a number from 0 to 600000, got the number 600001',
    ],
    [
      { exitDrainMs: -1 },
      'RangeError options.exitDrainMs: expected a number from 0 to 600000, got the number -1',
    ],
    [
      { exitDrainMs: '1s' },
      'RangeError options.exitDrainMs: expected a number from 0 to 600000, got "1s"',
    ],
    [{ clock: 5 }, 'RangeError options.clock: expected a function, got the number 5'],
    [
      { workerFile: '' },
      'RangeError options.workerFile: expected the path or file: URL of a file, got ""',
    ],
    [
      { workerFile: 'a\0b' },
      'RangeError options.workerFile: expected the path or file: URL of a file, got "a\\u0000b"',
    ],
    [
      { workerFile: new URL('https://x.test/worker.js') },
      'RangeError options.workerFile: expected the path or file: URL of a file, got "https://x.test/worker.js"',
    ],
    [
      { maxEventBytes: 10 },
      'RangeError options.maxEventBytes: expected an integer from 1024 to 1073741824, got the number 10',
    ],
  ])('%j is refused: %s', (options, message) => {
    expect(withOptions(options)).toBe(message)
  })

  it.each([
    [{ ringbytes: 4096 }, 'options.ringbytes', 'ringBytes'],
    [{ maxDelayMs: 5 }, 'options.maxDelayMs', 'fsync.maxDelayMs'],
    [{ maxevent: 5 }, 'options.maxevent', 'fsync.maxEvents'],
    [{ maxEventByte: 5 }, 'options.maxEventByte', 'maxEventBytes'],
    [{ failMode: 'closed' }, 'options.failMode', 'failureMode'],
    [{ fsync: { maxEvent: 1 } }, 'options.fsync.maxEvent', 'maxEvents'],
    [{ fsync: { methods: 'none' } }, 'options.fsync.methods', 'method'],
  ])('%j is refused with the nearest known name', (options, named, nearest) => {
    const start = `TypeError ${named}: unknown option; did you mean ${nearest}? Known are `
    expect(withOptions(options).slice(0, start.length)).toBe(start)
  })

  const NUMBERS: readonly (readonly [string, 'a number' | 'an integer', number, number])[] = [
    ['ringBytes', 'an integer', 1024, 2 ** 30],
    ['fsync.maxEvents', 'an integer', 1, 2 ** 31 - 1],
    ['fsync.maxBytes', 'an integer', 1, 2 ** 30],
    ['fsync.maxDelayMs', 'a number', 0, 60_000],
    ['maxWaitingBytes', 'an integer', 0, 2 ** 40],
    ['maxBlockMs', 'a number', 0, 2 ** 31 - 1],
    ['retryForMs', 'a number', 0, 2 ** 31 - 1],
    ['fileMode', 'an integer', 0, 0o777],
    ['dirMode', 'an integer', 0, 0o777],
    ['maxEventBytes', 'an integer', 1024, 2 ** 30],
    ['exitDrainMs', 'a number', 0, 600_000],
  ]

  it.each(NUMBERS)('%s takes %s from %d to %d, and nothing else', (path, kind, min, max) => {
    const [, group, name = ''] = /^(?:(\w+)\.)?(\w+)$/.exec(path) ?? []
    const given = (value: unknown) => (group ? { [group]: { [name]: value } } : { [name]: value })
    for (const value of [min, max]) {
      const checked = checkOptions(given(value))
      expect(Reflect.get(group === 'fsync' ? checked.fsync : checked, name)).toBe(value)
    }
    const wrong = [min - 1, max + 1, Number.NaN, ...(kind === 'an integer' ? [min + 0.5] : [])]
    expect(wrong.map((value) => withOptions(given(value)))).toEqual(
      wrong.map(
        (value) =>
          `RangeError options.${path}: expected ${kind} from ${min} to ${max}, got the number ${value}`,
      ),
    )
    const shown = [null, false, [min], 5n].map((value) => withOptions(given(value)))
    expect(shown).toEqual(
      ['null', 'the boolean false', 'an array', 'the bigint 5'].map(
        (got) => `TypeError options.${path}: expected ${kind} from ${min} to ${max}, got ${got}`,
      ),
    )
  })

  it('has these defaults', () => {
    const { clock, ...others } = checkOptions(undefined)
    expect(others).toEqual({
      ringBytes: 2 ** 20,
      fsync: {
        maxEvents: 2 ** 31 - 1,
        maxBytes: 2 ** 20,
        maxDelayMs: 0,
        method: 'fdatasync',
      },
      onFull: 'wait',
      maxWaitingBytes: 256 * 2 ** 20,
      maxBlockMs: 10_000,
      failureMode: 'open',
      retryForMs: 0,
      fileMode: 0o600,
      dirMode: 0o700,
      onUnsafeFile: 'warn',
      maxEventBytes: 16 * 2 ** 20,
      redact: undefined,
      logger: undefined,
      drainOnExit: true,
      exitDrainMs: 10_000,
      workerFile: undefined,
    })
    expect(checkOptions({ ...others, redact: undefined, clock })).toEqual({
      ...others,
      clock: expect.any(Function),
    })
  })

  it('workerFile is a path or a file: URL, as text or as an object', () => {
    const url = 'file:///srv/a%20b/worker.js'
    const taken = [url, new URL(url), '/srv/worker.js', 'worker.js'].map(
      (workerFile) => checkOptions({ workerFile }).workerFile,
    )
    expect(taken).toEqual([url, url, '/srv/worker.js', resolve('worker.js')])
  })

  it.each<[string, readonly string[]]>([
    ['onFull', ['wait', 'block', 'fail']],
    ['failureMode', ['open', 'closed']],
    ['onUnsafeFile', ['warn', 'fail']],
  ])('%s takes %j, and no other name', (name, allowed) => {
    for (const value of allowed) {
      expect(Reflect.get(checkOptions({ [name]: value }), name)).toBe(value)
    }
    expect(withOptions({ [name]: 'x' })).toBe(
      `RangeError options.${name}: expected one of ${allowed.join(', ')}, got "x"`,
    )
  })

  it('rounds ringBytes up to a power of two, and shows it', async () => {
    const policy = { enabled: true, auditLogPath: dir.path('x.log') } as const
    const options: ExecAuditOptions = { ringBytes: 5_000, fsync: undefined, redact: undefined }
    const audit = new ExecAudit(policy, new ExecDiagnostics(), options)
    expect(audit.stats().ring.capacityBytes).toBe(8192)
    await audit.close()
  })

  it('ignores options from a polluted Object.prototype', async () => {
    Object.assign(Object.prototype, { ringBytes: -1, onFull: 'nope' })
    try {
      const policy = { enabled: true, auditLogPath: dir.path('x.log') } as const
      await new ExecAudit(policy, new ExecDiagnostics(), {}).close()
    } finally {
      for (const name of ['ringBytes', 'onFull']) Reflect.deleteProperty(Object.prototype, name)
    }
  })
})

describe('a mistake in the policy or the diagnostics', () => {
  const dir = useTempDir()

  it.each<[unknown, string]>([
    [undefined, 'TypeError policy: expected an object, got undefined'],
    [null, 'TypeError policy: expected an object, got null'],
    [{}, 'TypeError policy.enabled: expected true or false, got undefined'],
    [{ enabled: 1 }, 'TypeError policy.enabled: expected true or false, got the number 1'],
    [
      { enabled: true },
      'TypeError policy.auditLogPath: expected the path of the log file, got undefined',
    ],
    [
      { enabled: true, auditLogPath: '' },
      'TypeError policy.auditLogPath: expected the path of the log file, got an empty string',
    ],
    [
      { enabled: true, auditLogPath: 'a\0b' },
      'TypeError policy.auditLogPath: expected a path without NUL characters',
    ],
    [
      { enabled: true, auditLogPath: 'x', auditTasklistId: 5 },
      'TypeError policy.auditTasklistId: expected a string or null, got the number 5',
    ],
    [{ enabled: false, reason: 5 }, 'TypeError policy.reason: expected a string, got the number 5'],
    [
      { enabled: true, auditLogPath: 'x', auditTasklistID: 't' },
      'TypeError policy.auditTasklistID: unknown property; did you mean auditTasklistId?',
    ],
    [
      { enabled: true, audit_log_path: 'x' },
      'TypeError policy.audit_log_path: unknown property; did you mean auditLogPath?',
    ],
    [{ Enabled: false }, 'TypeError policy.Enabled: unknown property; did you mean enabled?'],
  ])('the policy %j is refused: %s', (policy, message) => {
    expect(messageOf(() => construct(policy, new ExecDiagnostics()))).toBe(message)
  })

  it('is not hidden, and nothing is switched on, by a polluted Object.prototype', () => {
    const lent = { enabled: true, auditLogPath: 'lent.log', auditTasklistId: 'lent' }
    Object.assign(Object.prototype, lent)
    try {
      const got = messageOf(() => construct({}, new ExecDiagnostics()))
      expect(got).toBe('TypeError policy.enabled: expected true or false, got undefined')
      const policy = { enabled: true, auditLogPath: dir.path('x.log') } as const
      const audit = new ExecAudit(policy, new ExecDiagnostics())
      expect(audit.tasklistId).toBeUndefined()
      return audit.close()
    } finally {
      for (const name of Object.keys(lent)) Reflect.deleteProperty(Object.prototype, name)
    }
  })

  it('a policy may be part of a whole configuration, or of the file that x0x reads', () => {
    const path = dir.path('acl.toml')
    writeFileSync(path, '[exec]\nenabled = true\n')
    const { policy, ...others } = loadExecPolicy(path)
    const whole = { ...others, ...policy, auditTasklistId: 'a', audit_tasklist_id: 'b', task: 1 }
    expect(checkPolicy(whole).tasklistId).toBe('a')
  })

  it.each<[unknown, string]>([
    [undefined, 'undefined'],
    [{}, 'an object'],
    [{ recordAuditFailure: 1 }, 'an object'],
  ])('diagnostics that are %j are refused', (diagnostics, got) => {
    expect(messageOf(() => construct({ enabled: false }, diagnostics))).toBe(
      `TypeError diagnostics: expected an object with recordAuditFailure(), got ${got}`,
    )
  })

  it.each([[-1], [Number.NaN], ['5']])('drainSync(%p) throws', (timeoutMs) => {
    const audit = new ExecAudit({ enabled: false }, new ExecDiagnostics())
    expect(() => Reflect.apply(audit.drainSync, audit, [timeoutMs])).toThrow(RangeError)
  })
})
