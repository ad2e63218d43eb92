import type { Certificate } from './certificate'
import type { TestServer } from './test-server'

/** How an engine's server is started. */
export interface StartOptions {
  /** The longest message that it takes, in bytes; at least 1 MiB in Redis. */
  readonly maxMessageBytes?: number
  /** What it asks for of everybody. */
  readonly password?: string
  /** What it proves itself with: then it speaks TLS alone. */
  readonly certificate?: Certificate
}

/** What a stream is made with. */
interface MakeOptions {
  /** How many bytes it holds, after which it takes no more; of the whole server in Redis. */
  readonly maxBytes?: number
}

/** An engine's server as an administrator handles it, for tests of what shippers do then. */
export interface Engine {
  readonly name: string
  /** `it`, or `it.skip` without its server. */
  readonly it: typeof it
  /** With each acknowledgement on the disk, as far as the engine can. */
  start(options?: StartOptions): Promise<TestServer>
  /** The URL for {@link openStream}, of the server or of a proxy before it. */
  url(address: string): string
  /** The same with TLS. */
  secureUrl(address: string): string
  /** What {@link openStream} needs to make a stream. */
  subject(stream: string): { readonly subject?: string }
  /** The client's own options for a server with a password. */
  credentials(password: string): Record<string, string>
  /** The position of the nth message, from 0, in a stream of lines alone. */
  position(index: number): string
  /** Makes an empty stream. */
  make(server: TestServer, stream: string, options?: MakeOptions): Promise<void>
  /** Removes the limit of {@link MakeOptions.maxBytes}. */
  enlarge(server: TestServer, stream: string): Promise<void>
  /** Appends what no shipper has written. */
  addForeign(server: TestServer, stream: string): Promise<void>
  /** Removes all messages, and keeps the stream. */
  purge(server: TestServer, stream: string): Promise<void>
  /** Removes the oldest messages but so many. */
  trim(server: TestServer, stream: string, keep: number): Promise<void>
  /** Removes the stream. */
  remove(server: TestServer, stream: string): Promise<void>
}
