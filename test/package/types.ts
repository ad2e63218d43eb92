import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { entryPoints, NAMES, ok, ROOT, run } from './project'

const USE = `
import { ${NAMES}, type AuditOutcome, type ExecPolicy, type RequestEvent } from 'x0x-exec-audit'
const policy: ExecPolicy = { enabled: true, auditLogPath: 'exec.log', auditTasklistId: null }
const event: RequestEvent = {
  requestId: new Uint8Array(16), agentId: 'a', machineId: 'b', argv: ['ls'],
  stdinBytes: 1n, timeoutMs: 5,
}
async function main(): Promise<AuditOutcome> {
  const counter = { recordAuditFailure(): void {} }
  await new ExecAudit(policy, counter).close()
  const audit = new ExecAudit(policy, new ExecDiagnostics(), { fsync: { maxEvents: 1 } })
  // @ts-expect-error an unknown kind
  void audit.warning({ requestId: '', kind: 'nope' })
  return await audit.request(event)
}
void main().catch((error: unknown) => error instanceof AuditError && error.code === 'AUDIT_CLOSED')
void [WARNING_KINDS, DENIAL_REASONS]
`
const USE_DISPOSE = `
import { ExecAudit, ExecDiagnostics } from 'x0x-exec-audit'
export async function main(): Promise<void> {
  await using audit = new ExecAudit({ enabled: false }, new ExecDiagnostics())
  await audit.drain()
}
`
const USE_METRICS = `
import { metrics } from '@opentelemetry/api'
import { register, Registry } from 'prom-client'
import { ExecAudit, ExecDiagnostics } from 'x0x-exec-audit'
import { registerOpenTelemetry, registerPrometheus } from 'x0x-exec-audit/metrics'
const audit = new ExecAudit({ enabled: false }, new ExecDiagnostics())
const stops: (() => void)[] = [
  registerPrometheus(audit, { registry: register }),
  registerPrometheus(audit, { registry: new Registry(), labels: { audit: 'a' } }),
  registerOpenTelemetry(audit, metrics.getMeter('gateway'), { syncHistogram: false }),
]
void stops
`

const NODE16 = { module: 'node16', moduleResolution: 'node16' }
const NODENEXT = { module: 'nodenext', moduleResolution: 'nodenext' }
/** What TypeScript 5 takes with `module: commonjs`, which knows no `exports`. */
const NODE10 = { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' }
const BUNDLER = { module: 'esnext', moduleResolution: 'bundler' }
const STRICT = {
  target: 'es2022',
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  noEmit: true,
}

/** Compiles a strict project that checks the package's declarations too. */
export function checkTypes(project: string): void {
  link(project, '@types/node')
  const all = entryPoints().map((name, i) => `import * as m${i} from '${name}'\nvoid m${i}\n`)
  const use = USE + all.join('')
  const three = { 'use.ts': use, 'use.mts': use, 'use.cts': use }
  compile(project, 'nodenext', NODENEXT, three)
  compile(project, 'nodenext, with types: node', { ...NODENEXT, types: ['node'] }, three)
  compile(project, 'node16', NODE16, three)
  compile(project, 'node10', NODE10, { 'use.ts': use })
  compile(project, 'a bundler', BUNDLER, { 'use.ts': use, 'use.mts': use })
  compile(
    project,
    'await using',
    { ...NODENEXT, lib: ['es2022', 'esnext.disposable'] },
    { 'use.mts': USE_DISPOSE },
  )
  link(project, 'prom-client')
  link(project, '@opentelemetry/api')
  compile(project, 'prom-client and OpenTelemetry', NODENEXT, { 'use.mts': USE_METRICS })
  compile(project, 'prom-client and OpenTelemetry, node10', NODE10, { 'use.ts': USE_METRICS })
}

function compile(
  project: string,
  what: string,
  options: object,
  sources: Readonly<Record<string, string>>,
): void {
  const folder = join(project, `types ${what}`)
  mkdirSync(folder)
  const tsconfig = { compilerOptions: { ...STRICT, ...options }, include: ['.'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig))
  for (const [name, text] of Object.entries(sources)) writeFileSync(join(folder, name), text)
  run(folder, process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.')
  ok(`types with ${what}: ${Object.keys(sources).join(', ')}`)
}

/** Puts a package of ours into the project. */
function link(project: string, name: string): void {
  const path = join(project, 'node_modules', name)
  mkdirSync(join(path, '..'), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules', name), path)
}
