import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { promisify } from 'node:util'

/** Debian's servers stand where not everybody's path leads. */
const ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }

/** A server that lines are shipped to, started for a benchmark. */
export interface StreamServer {
  readonly port: number
  stop(): Promise<void>
}

/** Whether the program is installed. */
export function isInstalled(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore', env: ENV }).status === 0
}

/** JetStream, its files in a folder; it syncs when it likes. */
export function startNats(dir: string): Promise<StreamServer> {
  const args = (port: number) => ['-js', '-a', '127.0.0.1', '-p', String(port), '-sd', dir]
  return start('nats-server', args, /Server is ready/, dir)
}

/** Redis, its files in a folder, with a sync before each reply. */
export function startRedis(dir: string): Promise<StreamServer> {
  const args = (port: number) => [
    ...['--bind', '127.0.0.1', '--port', String(port), '--dir', dir, '--save', ''],
    ...['--appendonly', 'yes', '--appendfsync', 'always'],
  ]
  return start('redis-server', args, /Ready to accept connections/, dir)
}

/** XADDs per second by `redis-benchmark`, over one connection. */
export async function redisBenchmark(
  { port }: StreamServer,
  count: number,
  inFlight: number,
  line: string,
): Promise<number> {
  const args = ['-p', String(port), '-c', '1', '-P', String(inFlight), '-n', String(count), '--csv']
  const command = ['XADD', 'benchmark', '*', 'line', line]
  const { stdout } = await promisify(execFile)('redis-benchmark', [...args, ...command], {
    env: ENV,
  })
  const figures = stdout.trimEnd().split('\n').at(-1) ?? ''
  // The command itself is the first column, with commas and quotation marks in it.
  const perSecond = Number(/,"([\d.]+)"(?:,"[\d.]+"){6}$/.exec(figures)?.[1])
  if (perSecond > 0) return perSecond
  throw new Error(`redis-benchmark printed ${JSON.stringify(stdout)}`)
}

async function start(
  program: string,
  args: (port: number) => readonly string[],
  ready: RegExp,
  dir: string,
): Promise<StreamServer> {
  mkdirSync(dir, { recursive: true })
  const port = await freePort()
  const child = spawn(program, args(port), { stdio: ['ignore', 'pipe', 'pipe'], env: ENV })
  // A benchmark that fails leaves none behind.
  const kill = () => child.kill('SIGKILL')
  process.on('exit', kill)
  await untilPrinted(child, program, ready)
  return {
    port,
    async stop() {
      const ended = once(child, 'exit')
      kill()
      await ended
      process.off('exit', kill)
    },
  }
}

function untilPrinted(child: ChildProcess, program: string, ready: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (ready.test(output)) resolve()
      })
    }
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`${program} has ended:\n${output}`)))
  })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (typeof address === 'object' && address !== null) return address.port
  throw new Error('no free port')
}
