import { ExecAudit, type ExecAuditOptions, ExecDiagnostics } from '../../src'

/** One call of the logger. */
export interface Warned {
  readonly object: Record<string, unknown>
  readonly message: string
}

/** An audit under test, with its diagnostics and the calls of its logger. */
export interface AuditUnderTest {
  readonly audit: ExecAudit
  readonly diagnostics: ExecDiagnostics
  readonly warned: Warned[]
}

const open: ExecAudit[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((audit) => audit.close()))
})

/** Opens an audit at `path` whose clock stands at 0; it is closed after the test. */
export function openAudit(path: string, options: ExecAuditOptions = {}): AuditUnderTest {
  const diagnostics = new ExecDiagnostics()
  const warned: Warned[] = []
  const logger = {
    warn: (object: Record<string, unknown>, message: string) => {
      warned.push({ object, message })
    },
  }
  const policy = { enabled: true, auditLogPath: path } as const
  const audit = new ExecAudit(policy, diagnostics, { clock: () => 0, logger, ...options })
  open.push(audit)
  return { audit, diagnostics, warned }
}

/** The event methods. */
export const METHODS = ['request', 'started', 'warning', 'exit', 'denial'] as const
export type Method = (typeof METHODS)[number]

/** Calls an event method with a value that its types would not allow. */
export function call({ audit }: AuditUnderTest, method: Method, event: unknown): Promise<unknown> {
  return Reflect.apply(Reflect.get(audit, method), audit, [event])
}
