import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

/*
 * `npm run check:package`: packs the package, installs the tarball in an empty project, and uses it
 * there by require, by import and from strict TypeScript, as its users do.
 */

const ROOT = join(__dirname, '../..')
/** The tarball holds what runs, its types, and the usual papers. */
const ALLOWED_FILES =
  /^(package\.json|README\.md|LICENSE|dist\/((analyze|cli|doctor|load|plot|policy-file|reader|runner|testing|tune|verify)\/)?[a-z-]+\.(js|d\.ts)|src\/shipping\/[\w-]+\.(conf|json|md|toml|yaml))$/
const UNPACKED_BYTES_MAX = 700_000

const RECORD = `
const requestId = '00'.repeat(16)
const main = async () => {
  const audit = new ExecAudit({ enabled: true, auditLogPath: './logs/exec.log' }, new ExecDiagnostics())
  const outcome = await audit.started({ requestId, pid: process.pid })
  const known = [WARNING_KINDS.length, DENIAL_REASONS.length, typeof AuditError]
  await audit.close()
  console.log(outcome, known.join(' '))
}
main()
`
const NAMES = 'ExecAudit, ExecDiagnostics, WARNING_KINDS, DENIAL_REASONS, AuditError'
const EXPECTED = 'durable 8 12 function\n'

const TYPED = `
import { ${NAMES}, type AuditOutcome, type ExecPolicy, type RequestEvent } from 'x0x-exec-audit'
const policy: ExecPolicy = { enabled: true, auditLogPath: 'exec.log', auditTasklistId: null }
const event: RequestEvent = {
  requestId: new Uint8Array(16), agentId: 'a', machineId: 'b', argv: ['ls'],
  stdinBytes: 1n, timeoutMs: 5,
}
async function main(): Promise<AuditOutcome> {
  await using audit = new ExecAudit(policy, new ExecDiagnostics(), { fsync: { maxEvents: 1 } })
  // @ts-expect-error an unknown kind
  void audit.warning({ requestId: '', kind: 'nope' })
  return await audit.request(event)
}
void main().catch((error: unknown) => error instanceof AuditError && error.code === 'AUDIT_CLOSED')
void [WARNING_KINDS, DENIAL_REASONS]
`

function run(folder: string, command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { cwd: folder, encoding: 'utf8' })
}

function expectSame(what: string, got: unknown, wanted: unknown): void {
  if (JSON.stringify(got) !== JSON.stringify(wanted)) {
    throw new Error(`${what}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`)
  }
  console.log(`ok  ${what}`)
}

interface Packed {
  readonly filename: string
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

function pack(into: string): string {
  const text = run(ROOT, 'npm', 'pack', '--json', '--silent', '--pack-destination', into)
  const listed: readonly Packed[] = JSON.parse(text)
  const packed = listed[0]
  if (packed === undefined) throw new Error('npm pack made nothing')
  const stray = packed.files.map(({ path }) => path).filter((path) => !ALLOWED_FILES.test(path))
  expectSame('the tarball holds only what a user needs', stray, [])
  expectSame('its size is bounded', packed.unpackedSize <= UNPACKED_BYTES_MAX, true)
  return join(into, packed.filename)
}

function checkTypes(project: string): void {
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2023', 'esnext.disposable'],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules/@types')],
  }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  writeFileSync(join(project, 'typed.mts'), TYPED)
  writeFileSync(join(project, 'typed.cts'), TYPED)
  run(project, process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.')
  console.log('ok  types, from ESM and CommonJS')
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'exec-audit-package-'))
  try {
    run(ROOT, 'npm', 'run', '--silent', 'build')
    const { messages, pkg } = await publint({ pkgDir: ROOT, strict: true })
    const problems = messages.map((message) => formatMessage(message, pkg, { color: false }))
    expectSame('publint has nothing to say', problems, [])
    const tarball = pack(folder)
    const project = join(folder, 'project')
    mkdirSync(project)
    writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true }')
    run(project, 'npm', 'install', '--silent', '--no-audit', '--no-fund', tarball)
    writeFileSync(
      join(project, 'a.cjs'),
      `const { ${NAMES} } = require('x0x-exec-audit')\n${RECORD}`,
    )
    writeFileSync(join(project, 'b.mjs'), `import { ${NAMES} } from 'x0x-exec-audit'\n${RECORD}`)
    expectSame('require', run(project, process.execPath, 'a.cjs'), EXPECTED)
    expectSame('import', run(project, process.execPath, 'b.mjs'), EXPECTED)
    const usage = run(project, 'npx', 'x0x-exec-audit', '--help').split('\n')[0]
    expectSame('the command', usage, 'Usage: x0x-exec-audit [options] [command]')
    const lines = readFileSync(join(project, 'logs/exec.log'), 'utf8').trimEnd().split('\n')
    expectSame('both have written to the log', lines.length, 2)
    checkTypes(project)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

void main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
