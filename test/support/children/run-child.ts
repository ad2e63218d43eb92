import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { endStrace } from '../strace'
import { WAITING } from '../waiting'

/** How a child process ended. */
export interface ChildEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly elapsedMs: number
}

const ROOT = join(__dirname, '../../..')

/** The preamble of every script: the built package, the log's path, and the ways to wait. */
const PRELUDE = `
${WAITING}
const { ExecAudit, ExecDiagnostics } = require(${JSON.stringify(join(ROOT, 'dist'))})
const path = process.argv[1]
const requestId = '0123456789abcdef0123456789abcdef'
const open = (options = {}) =>
  new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics(), { clock: () => 0, ...options })
`

/** The threads that may embed an audit: what a fault test runs its script in. */
export const HOSTS = ['the main thread', 'a worker thread'] as const
export type Host = (typeof HOSTS)[number]

/** A program that runs the code in that thread. */
function hosted(code: string, host: Host): string {
  if (host === 'the main thread') return code
  const text = JSON.stringify(`process.argv.splice(1, 1)\n${code}`)
  return `const { Worker } = require('node:worker_threads')
    const worker = new Worker(${text}, { eval: true, argv: process.argv.slice(1) })
    worker.on('error', (error) => { throw error })`
}

/** A child process that is running. */
export interface RunningChild {
  /** The process that was started: the wrapper's, unless that becomes the child. */
  readonly process: ChildProcess
  /** Resolves when its standard output or error contains the text; rejects if it ends without. */
  said(text: string): Promise<void>
  readonly end: Promise<ChildEnd>
}

const running = new Set<ChildProcess>()

afterEach(() => {
  for (const child of running) {
    child.kill('SIGKILL')
    endStrace(child)
  }
})

/**
 * Starts a script in a child process. It finds \`open(options)\`, \`requestId\`, \`path\` and
 * \`ExecAudit\` in scope, and \`path\` is the first of \`args\`.
 * It is killed at the end of the test if it still runs.
 * @param wrapper a command that runs the child, such as strace with its options
 * @param before code that must run before the package is loaded
 * @param host the thread that runs both
 */
export function startChild(
  script: string,
  args: readonly string[],
  wrapper: readonly string[] = [],
  before = '',
  host: Host = 'the main thread',
): RunningChild {
  const code = hosted(before + PRELUDE + script, host)
  const command = [...wrapper, process.execPath, '-e', code, '--', ...args]
  const [file = process.execPath, ...rest] = command
  const start = performance.now()
  const child = spawn(file, rest, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  let stdout = ''
  let stderr = ''
  const listeners = new Set<() => void>()
  const notify = () => {
    for (const listener of listeners) listener()
  }
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
    notify()
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
    notify()
  })
  const end = new Promise<ChildEnd>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      running.delete(child)
      resolve({ code, signal, stdout, stderr, elapsedMs: performance.now() - start })
    })
  })
  const said = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (stdout.includes(text) || stderr.includes(text)) resolve()
      }
      listeners.add(look)
      look()
      const missing = () => reject(new Error(`ended without saying "${text}": ${stdout}${stderr}`))
      end.then(missing, reject)
    })
  return { process: child, said, end }
}

/** Runs a script in a child process to its end, see {@link startChild}. */
export function runChild(...run: Parameters<typeof startChild>): Promise<ChildEnd> {
  return startChild(...run).end
}
