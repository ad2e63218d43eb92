import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../../support/waiting'

const EXAMPLES = join(__dirname, '../../../docs/examples')

/** One line of a log, with what the examples' tests look at. */
export interface Line {
  readonly event: string
  readonly request_id: string
  readonly agent_id?: string
  readonly argv?: readonly string[]
  readonly matched_acl?: string | null
  readonly reason?: string
  readonly kind?: string
  readonly pid?: number
  readonly code?: number | null
  readonly signal?: number | null
  readonly context?: Readonly<Record<string, string>>
}

const running = new Set<ChildProcess>()

afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
})

/** The arguments of Node.js that run an example. */
export function exampleArgs(name: string): string[] {
  return ['-r', require.resolve('esbuild-register'), join(EXAMPLES, `${name}.ts`)]
}

/** Starts an example as its reader would; killed after the test. */
export function startExample(
  name: string,
  env: NodeJS.ProcessEnv,
  wrapper: readonly string[] = [],
) {
  const [file = process.execPath, ...args] = [...wrapper, process.execPath, ...exampleArgs(name)]
  const child = spawn(file, args, {
    env: { ...process.env, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  running.add(child)
  const output = { text: '' }
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output.text += chunk
  })
  const ended = once(child, 'close').then(([code]: unknown[]) => {
    running.delete(child)
    return code
  })
  return { child, output, ended }
}

/** The number after the word `port` in what the gateway prints, once it does; or the end of a URL. */
export async function portOf({ output }: ReturnType<typeof startExample>): Promise<string> {
  const port = () => /(?:"port":|:)(\d+)\D*\n/.exec(output.text)?.[1]
  await until('the gateway does not listen', () => port() !== undefined)
  return port() ?? ''
}

/** The lines of a log, oldest first; those that are whole. */
export function linesOf(path: string): Line[] {
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  return lines.map((line): Line => JSON.parse(line))
}

/** Each command's events, or what is particular about them, in the order of the first ones. */
export function trailsOf(path: string): string[] {
  const trails = new Map<string, string[]>()
  for (const { request_id: id, event, kind, reason } of linesOf(path)) {
    trails.set(id, [...(trails.get(id) ?? []), kind ?? reason ?? event])
  }
  return [...trails.values()].map((events) => events.join(' '))
}

/** Waits until a command has been started. */
export async function untilStarted(path: string): Promise<void> {
  const hasStarted = () => linesOf(path).some(({ event }) => event === 'started')
  await until('the command does not start', hasStarted)
}
