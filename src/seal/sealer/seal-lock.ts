import { chmod, link, lstat, open, rename, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { codeOf } from '../../base/describe'

const NAME = 'sealer.sock'
const ATTEMPTS_MAX = 10

/**
 * One sealer per folder: a Unix socket in it. A process that dies leaves the socket behind, and nobody listens to it;
 * then the next one takes it over. It is bound under a name of its own and linked to the common one, since only a
 * link is refused if that is there already.
 */
export class SealLock {
  readonly #server: Server
  readonly #folder: SocketFolder
  readonly #inode: bigint

  private constructor(server: Server, folder: SocketFolder, inode: bigint) {
    this.#server = server
    this.#folder = folder
    this.#inode = inode
  }

  /** Takes the lock; undefined if another process holds it. */
  static async take(folder: string): Promise<SealLock | undefined> {
    const sockets = await SocketFolder.open(folder)
    const own = `${NAME}.${process.pid}`
    try {
      await sockets.remove(own)
      const server = await listen(sockets.path(own))
      await chmod(sockets.path(own), 0o600)
      const { ino } = await lstat(sockets.path(own), { bigint: true })
      const isTaken = await sockets.claim(own)
      await sockets.remove(own)
      if (isTaken) return new SealLock(server, sockets, ino)
      server.close()
    } catch (thrown) {
      await sockets.close()
      throw thrown
    }
    await sockets.close()
    return undefined
  }

  /** Whether it is still ours: nobody else has put a socket in its place. */
  async isHeld(): Promise<boolean> {
    return (await this.#folder.inodeOf(NAME)) === this.#inode
  }

  async release(): Promise<void> {
    if (await this.isHeld()) await this.#folder.remove(NAME)
    this.#server.close()
    await this.#folder.close()
  }
}

/** Names sockets by the folder's descriptor: the kernel takes paths of 107 bytes at most. */
class SocketFolder {
  private constructor(readonly handle: Awaited<ReturnType<typeof open>>) {}

  static async open(folder: string): Promise<SocketFolder> {
    return new SocketFolder(await open(folder))
  }

  path(name: string): string {
    return `/proc/self/fd/${this.handle.fd}/${name}`
  }

  /** Links a socket that listens to the common name; false if another process listens to that one. */
  async claim(own: string): Promise<boolean> {
    for (let i = 0; i < ATTEMPTS_MAX; i++) {
      if (await this.#link(own)) return true
      if (await isListening(this.path(NAME))) return false
      await this.#removeDead(own)
    }
    return false
  }

  /** Removes the common socket, if nobody listens to it even once it has a name that nobody else takes. */
  async #removeDead(own: string): Promise<void> {
    const aside = `${own}.dead`
    try {
      await rename(this.path(NAME), this.path(aside))
    } catch (thrown) {
      if (codeOf(thrown) === 'ENOENT') return
      throw thrown
    }
    // Another process was faster: this is its new one.
    if (await isListening(this.path(aside))) await link(this.path(aside), this.path(NAME))
    await this.remove(aside)
  }

  async #link(own: string): Promise<boolean> {
    try {
      await link(this.path(own), this.path(NAME))
      return true
    } catch (thrown) {
      if (codeOf(thrown) === 'EEXIST') return false
      throw thrown
    }
  }

  async inodeOf(name: string): Promise<bigint | undefined> {
    try {
      return (await lstat(this.path(name), { bigint: true })).ino
    } catch (thrown) {
      if (codeOf(thrown) === 'ENOENT') return undefined
      throw thrown
    }
  }

  async remove(name: string): Promise<void> {
    await unlink(this.path(name)).catch((thrown: unknown) => {
      if (codeOf(thrown) !== 'ENOENT') throw thrown
    })
  }

  close(): Promise<void> {
    return this.handle.close()
  }
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.on('error', reject)
    server.listen(path, () => resolve(server.unref()))
  })
}

/** Whether a process listens to a socket. Only a refusal says no: one that may not be asked may listen. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', (thrown) => {
      const code = codeOf(thrown)
      resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT')
    })
  })
}
