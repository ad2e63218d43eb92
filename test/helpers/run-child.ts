import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** How a child process ended. */
export interface ChildEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly elapsedMs: number
}

const ROOT = join(__dirname, '../..')

/** What every script may use: the built package, one valid event of each pid, the log's path. */
const PRELUDE = `
const { ExecAudit, ExecDiagnostics } = require(${JSON.stringify(join(ROOT, 'dist'))})
const path = process.argv[1]
const requestId = '0123456789abcdef0123456789abcdef'
const open = (options = {}) =>
  new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics(), { clock: () => 0, ...options })
`

/**
 * Runs a script in a child process. It finds \`open(options)\`, \`requestId\`, \`path\` and
 * \`ExecAudit\` in scope, and \`path\` is the first of \`args\`.
 * @param wrapper a command that runs the child, such as strace with its options
 * @param before code that must run before the package is loaded
 */
export async function runChild(
  script: string,
  args: readonly string[],
  wrapper: readonly string[] = [],
  before = '',
): Promise<ChildEnd> {
  const command = [...wrapper, process.execPath, '-e', before + PRELUDE + script, '--', ...args]
  const [file = process.execPath, ...rest] = command
  const start = performance.now()
  const child = spawn(file, rest, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      resolve({ code, signal, stdout, stderr, elapsedMs: performance.now() - start })
    })
  })
}
