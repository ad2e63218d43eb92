import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TOOL_ENV } from '../tool'
import { until } from '../waiting'

/** How a kind of server is started in a folder and on a port. */
export interface ServerProgram {
  readonly program: string
  readonly args: (folder: string, port: number) => readonly string[]
  /** What it prints once it takes connections. */
  readonly ready: RegExp
}

const ATTEMPTS = 5

/** A server of the distribution, on a loopback port and in a temporary folder of its own. */
export class TestServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'exec-audit-server-'))
  readonly #program: ServerProgram
  #port = 0
  #child: ChildProcess | undefined
  #output = ''

  private constructor(program: ServerProgram) {
    this.#program = program
  }

  static async start(program: ServerProgram): Promise<TestServer> {
    const server = new TestServer(program)
    for (let attempt = 1; ; attempt++) {
      server.#port = await freePort()
      try {
        await server.restart()
        return server
      } catch (error) {
        // Another process may have taken the port meanwhile.
        if (attempt === ATTEMPTS) throw error
      }
    }
  }

  get port(): number {
    return this.#port
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  /** Starts it again after a kill, with what it has stored. */
  async restart(): Promise<void> {
    const { program, args, ready } = this.#program
    const child = spawn(program, args(this.folder, this.#port), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: TOOL_ENV,
    })
    this.#child = child
    this.#output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
      })
    }
    await until(
      `${program} did not start or end`,
      () => ready.test(this.#output) || !isAlive(child),
    )
    if (!isAlive(child)) throw new Error(`${program} has ended:\n${this.#output}`)
  }

  /** Sends SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || !isAlive(child)) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** SIGSTOP: the connections stay, and nobody answers. */
  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  /** SIGCONT. */
  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Kills it and removes its folder. */
  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function isAlive({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}

/**
 * A free port below those that the kernel gives to outgoing connections: nobody else gets it while the server
 * is down.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const probe = createServer().listen(port, '127.0.0.1')
    const [event] = await Promise.race([
      once(probe, 'listening').then(() => ['listening']),
      once(probe, 'error').then(() => ['error']),
    ])
    probe.close()
    if (event === 'listening') return port
  }
}
