import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { denialEvent, startedEvent } from '../support/events'
import { openAudit } from '../support/open-audit'
import { writeShipped } from '../support/shipping'
import { useTempDir } from '../support/temp-dir'
import { times } from '../support/times'
import { itWithTool, TOOL_ENV } from '../support/tool'
import { until } from '../support/waiting'

jest.setTimeout(240_000)

/** More than rsyslog's queue holds, so that it has to wait. */
const EVENTS = times('SHIPPED_EVENTS', 12_000, 200_000)
const LONG_ARGUMENT = 'x'.repeat(300_000)
/** Characters that shippers tend to change. */
const ODD = '#012 %msg% \\n \t\r\n\0\u007f\u001b[31m\u0085 é 💥 \u2028 \ufeff'
/** How long a line may take, with a whole retry of rsyslog in it. */
const WITHIN_MS = 100_000
const PORTS_FROM = 20_000
const PORTS = 10_000

/** The other machine: it keeps what it is sent. */
class Listener {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #chunks: Buffer[] = []
  #bytes = 0

  constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('data', (chunk) => {
        this.#chunks.push(chunk)
        this.#bytes += chunk.length
      })
    })
  }

  get bytes(): number {
    return this.#bytes
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8')
  }

  async open(port = 0): Promise<number> {
    await once(this.#server.listen(port, '127.0.0.1'), 'listening')
    return portOf(this.#server.address())
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    if (this.#server.listening) await once(this.#server.close(), 'close')
  }
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('it does not listen')
  return address.port
}

describe('rsyslog, as shipped', () => {
  const dir = useTempDir()
  const itWithRsyslog = itWithTool('rsyslogd', '-v')
  const listeners: Listener[] = []
  const daemons: ChildProcess[] = []
  afterEach(async () => {
    for (const daemon of daemons.splice(0)) {
      daemon.kill('SIGKILL')
      if (daemon.exitCode === null && daemon.signalCode === null) await once(daemon, 'exit')
    }
    await Promise.all(listeners.splice(0).map((listener) => listener.close()))
  })

  const newListener = () => {
    const listener = new Listener()
    listeners.push(listener)
    return listener
  }

  /** Starts rsyslogd with the shipped file in a configuration that has nothing else. */
  const startDaemon = (port: number) => {
    mkdirSync(dir.path('spool'), { recursive: true })
    const main = `global(workDirectory="${dir.path('spool')}")\ninclude(file="${dir.path('part.conf')}")\n`
    writeFileSync(dir.path('main.conf'), main)
    writeShipped('rsyslog.conf', dir.path('part.conf'), {
      '/var/log/gateway': dir.path('gateway'),
      'logs.example.com': '127.0.0.1',
      'port="6514"': `port="${port}"`,
    })
    const args = ['-n', '-f', dir.path('main.conf'), '-i', dir.path('pid')]
    const daemon = spawn('rsyslogd', args, { env: TOOL_ENV, stdio: 'ignore' })
    daemons.push(daemon)
    return daemon
  }

  const stop = async (daemon: ChildProcess) => {
    daemon.kill('SIGTERM')
    await once(daemon, 'exit')
  }

  /** The files that rsyslogd keeps: how far it has read, and the lines that it could not send before it ended. */
  const spooled = () => (existsSync(dir.path('spool')) ? readdirSync(dir.path('spool')) : [])
  const isState = (name: string) => name.startsWith('imfile-state')

  const arrived = (listener: Listener, bytes: number) =>
    until(`${bytes} bytes do not arrive`, () => listener.bytes >= bytes, WITHIN_MS)

  itWithRsyslog('sends each line once, unchanged, across a rotation', async () => {
    const listener = newListener()
    startDaemon(await listener.open())
    const path = dir.path('gateway/exec.log')
    const { audit } = openAudit(path)
    const logs = () => [`${path}.1`, path].filter(existsSync).map((file) => readFileSync(file))

    await audit.denial(denialEvent({ argv: ['say', ODD] }))
    await audit.denial(denialEvent({ argv: ['say', LONG_ARGUMENT] }))
    await Promise.all(Array.from({ length: 500 }, (_, pid) => audit.started(startedEvent({ pid }))))
    await arrived(listener, Buffer.concat(logs()).length)
    renameSync(path, `${path}.1`)
    await Promise.all(Array.from({ length: 500 }, (_, pid) => audit.started(startedEvent({ pid }))))

    const written = Buffer.concat(logs())
    await arrived(listener, written.length)
    expect(listener.text()).toBe(written.toString('utf8'))
    expect(listener.text().split('\n').length).toBe(1_003)
  })

  itWithRsyslog(
    'waits with the log while the other machine is away, and goes on after a restart',
    async () => {
      // Below the ports that the kernel hands out, so that nobody takes it before the listener does.
      const port = PORTS_FROM + (process.pid % PORTS)
      const path = dir.path('gateway/exec.log')
      const { audit } = openAudit(path)
      const record = async (count: number) => {
        await Promise.all(
          Array.from({ length: count }, (_, pid) => audit.started(startedEvent({ pid }))),
        )
      }
      await record(EVENTS)
      const first = startDaemon(port)
      await until('rsyslogd does not read', () => spooled().some(isState))
      const listener = newListener()
      await listener.open(port)
      await arrived(listener, readFileSync(path).length)

      await stop(first)
      expect(spooled().filter((name) => !isState(name))).toEqual([])
      await record(100)
      startDaemon(port)
      const written = readFileSync(path, 'utf8')
      await arrived(listener, written.length)
      expect(listener.text() === written).toBe(true)
    },
  )
})
