import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Stands between a client and a server, and damages what the server answers. */
export class TcpProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #isSwallowing = false
  #isToCut = false
  #answers = 0

  private constructor(port: number) {
    this.#server = createServer((client) => this.#join(client, connect(port, '127.0.0.1')))
  }

  /** @param port the server's, on the loopback */
  static async start(port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(port)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get address(): string {
    const address = this.#server.address()
    return `127.0.0.1:${isAddress(address) ? address.port : 0}`
  }

  /** How many pieces of answers the server has sent. */
  get answers(): number {
    return this.#answers
  }

  /** Cuts each connection in place of the server's next answer, once: what was asked is done by then. */
  cutBeforeAnswer(): void {
    this.#isToCut = true
  }

  /** Drops what the server answers from now on, or no longer. */
  swallow(isOn: boolean): void {
    this.#isSwallowing = isOn
  }

  /** Cuts each connection now. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }

  async stop(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(client: Socket, server: Socket): void {
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      // The other side sees the end.
      socket.on('error', () => undefined)
      socket.on('close', () => other.destroy())
    }
    client.pipe(server)
    server.on('data', (answer) => {
      this.#answers++
      if (this.#isToCut) {
        this.#isToCut = false
        this.cut()
      } else if (!this.#isSwallowing) client.write(answer)
    })
  }
}

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null
}
