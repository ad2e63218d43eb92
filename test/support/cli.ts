import { spawn } from 'node:child_process'
import { join } from 'node:path'

const MAIN = join(__dirname, '../../dist/cli/main.js')

/** How a command ended. */
export interface CliEnd {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const running = new Set<ReturnType<typeof spawn>>()

afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * Starts the built command, its output into pipes, in a fixed time zone; killed after the test.
 * @param wrapper a command that runs it, such as strace with its options
 */
export function startCli(
  args: readonly string[],
  input: string | Buffer = '',
  wrapper: readonly string[] = [],
) {
  const env = { ...process.env, TZ: 'Europe/Berlin' }
  const [file = process.execPath, ...rest] = [...wrapper, process.execPath, MAIN, ...args]
  const child = spawn(file, rest, { env, stdio: 'pipe' })
  running.add(child)
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output.stderr += text
  })
  // It may end before it has read everything.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const end = new Promise<CliEnd>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      running.delete(child)
      resolve({ code, ...output })
    })
  })
  return { child, output, end }
}

/** Runs the built command to its end. */
export function runCli(...run: Parameters<typeof startCli>): Promise<CliEnd> {
  return startCli(...run).end
}
