import { spawn } from 'node:child_process'
import { join } from 'node:path'

const MAIN = join(__dirname, '../../dist/cli/main.js')

/** How a command ended. */
export interface CliEnd {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * Starts the built command, its output into pipes.
 * @param wrapper a command that runs it, such as strace with its options
 * @param input what its standard input holds
 */
export function startCli(args: readonly string[], wrapper: readonly string[] = [], input = '') {
  const [file = process.execPath, ...rest] = [...wrapper, process.execPath, MAIN, ...args]
  const child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'pipe'] })
  // A command that does not read it may have ended already.
  child.stdin.on('error', () => undefined).end(input)
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output.stderr += text
  })
  const end = new Promise<CliEnd>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, ...output }))
  })
  return { child, end }
}

/** Runs the built command to its end, see {@link startCli}. */
export function runCli(...run: Parameters<typeof startCli>): Promise<CliEnd> {
  return startCli(...run).end
}
