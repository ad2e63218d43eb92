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
const { createRunner, ExecAudit, ExecDiagnostics } = require(${JSON.stringify(join(ROOT, 'dist'))})
const path = process.argv[1]
const requestId = '0123456789abcdef0123456789abcdef'
const open = (options = {}) =>
  new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics(), { clock: () => 0, ...options })
`

/** The threads that may embed an audit: what a fault test runs its script in. */
export const HOSTS = ['the main thread', 'a worker thread', 'a piscina task'] as const
export type Host = (typeof HOSTS)[number]

const PISCINA_TASK = join(__dirname, 'piscina-task.js')

/** Programs that run `code` with `argv` in another thread. */
const HOST_PROGRAMS: Readonly<Record<Exclude<Host, 'the main thread'>, string>> = {
  'a worker thread': `
    const { Worker } = require('node:worker_threads')
    const worker = new Worker('process.argv.splice(1, 1);' + code, { eval: true, argv: argv.slice(1) })
    worker.on('error', (error) => { throw error })`,
  // A task that calls process.exit() takes its thread with it, and nothing else.
  'a piscina task': `
    const { Piscina } = require('piscina')
    const pool = new Piscina({ filename: ${JSON.stringify(PISCINA_TASK)}, maxThreads: 1 })
    const isExit = ({ message }) => message === 'worker exited with code: 0'
    pool.run({ code, argv }).catch((error) => { if (!isExit(error)) throw error }).then(() => pool.destroy())`,
}

/** A program that runs the code in that thread. */
function hosted(code: string, host: Host): string {
  if (host === 'the main thread') return code
  return `{ const [code, argv] = [${JSON.stringify(code)}, process.argv]; ${HOST_PROGRAMS[host]} }`
}

/**
 * The log without what the host may add: below another thread a group that a dead worker had begun is doubted, and
 * written again, behind a blank line if a sector ends there (docs/guarantees.md, promises 4 and 5).
 */
export function firstCopies(log: string, host: Host): string {
  if (host === 'the main thread') return log
  const lines = new Set(log.split(/(?<=\n)/))
  lines.delete('\n')
  return [...lines].join('')
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
