import {
  createRunner,
  ExecAudit,
  ExecDiagnostics,
  followAudit,
  idOf,
  loadExecPolicy,
  readAudit,
  rotateLog,
  runAudited,
} from '../../src'
import { registerOpenTelemetry } from '../../src/metrics'
import { openSealer } from '../../src/seal'
import { MemoryAudit } from '../../src/testing'
import { ASKED } from '../support/runner'

const audit = new MemoryAudit()
const runner = createRunner(audit)
const policy = { enabled: false } as const
const diagnostics = new ExecDiagnostics()
/** A value that the types do not allow. */
const wrong = <T>(value: unknown): T => JSON.parse(JSON.stringify(value))
const command = { ...ASKED, argv: ['true'] }

/** Each call has one mistake, of the option that is named. */
const MISTAKES: readonly (readonly [option: string, kind: string, call: () => unknown])[] = [
  ['policy.enabled', 'TypeError', () => new ExecAudit(wrong({}), diagnostics)],
  [
    'options.fsync.maxBytes',
    'RangeError',
    () => new ExecAudit(policy, diagnostics, { fsync: { maxBytes: 0 } }),
  ],
  [
    'options.failMode',
    'TypeError',
    () => new ExecAudit(policy, diagnostics, wrong({ failMode: 'closed' })),
  ],
  ['diagnostics', 'TypeError', () => new ExecAudit(policy, wrong({}))],
  ['timeoutMs', 'RangeError', () => new ExecAudit(policy, diagnostics).drainSync(-1)],
  ['options.quiet', 'RangeError', () => new MemoryAudit(wrong({ quiet: 'yes' }))],
  ['options.errno', 'RangeError', () => audit.failNext({ errno: wrong('ENOSPACE') })],
  ['options.maxConcurrent', 'RangeError', () => createRunner(audit, { maxConcurrent: 0 })],
  ['options.reason', 'RangeError', () => runner.deny({ ...command, reason: wrong('rate_limit') })],
  ['options.agentId', 'RangeError', () => runner.run({ ...command, agentId: 'ab' })],
  ['audit', 'TypeError', () => runAudited(wrong({}), command)],
  ['options.argv[1]', 'TypeError', () => runAudited(audit, { ...command, argv: wrong(['a', 1]) })],
  [
    'options.context["a b"]',
    'RangeError',
    () => runAudited(audit, { ...command, context: { 'a b': 'c' } }),
  ],
  [
    'options.context.cwd',
    'RangeError',
    () => runAudited(audit, { ...command, cwd: '/', context: { cwd: '/srv' } }),
  ],
  ['options.stdin', 'TypeError', () => runAudited(audit, { ...command, stdin: wrong(5) })],
  ['options.uid', 'RangeError', () => runAudited(audit, { ...command, uid: -1 })],
  ['name', 'TypeError', () => idOf('')],
  ['path', 'TypeError', () => loadExecPolicy('')],
  ['maxLineBytes', 'RangeError', () => readAudit('x', { maxLineBytes: 0 }).next()],
  ['pollMs', 'RangeError', () => followAudit('x', { pollMs: 0 }).next()],
  ['keep', 'RangeError', () => rotateLog('x', { keep: 0 })],
  ['audit', 'TypeError', () => registerOpenTelemetry(wrong({}), wrong({}))],
  ['key, signCommand', 'TypeError', () => openSealer({ log: 'x' })],
]

describe('a mistake in an option', () => {
  it.each(MISTAKES)('%s has its code and its name: %s', async (option, kind, call) => {
    const thrown: unknown = await Promise.resolve()
      .then(call)
      .then(String, (error: unknown) => error)
    expect(thrown).toMatchObject({ name: kind, code: 'AUDIT_INVALID_OPTION', option })
    expect(String(thrown).startsWith(`${kind}: ${option}`)).toBe(true)
  })
})
