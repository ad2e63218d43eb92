import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { AuditOutcome } from '../../src'
import { linesOf } from '../harness/read-back'
import type { Contender, Writer } from '../harness/trial'
import { type AuditCall, lineObject, lineOf } from '../harness/workload'

/*
 * The alternatives that people would use, from the package in bench/peers, set up to be as durable: an event
 * counts as recorded once its bytes are synced. Each is set up at its best: events that arrive together
 * share a sync, as they do here.
 *
 * That package is not installed with this one, so the types that are used of it are declared here.
 */

const FOLDER = join(__dirname, '../peers')

/** Whether `npm run bench:peers` has installed them. */
export const arePeersInstalled = existsSync(join(FOLDER, 'node_modules'))

export const PEERS_NOTE =
  'The peers (pino, winston, lmdb, SQLite) are not installed: npm run bench:peers installs and measures them.'

/** Loads a package from the folder of bench/peers. */
export const requirePeer = createRequire(join(FOLDER, 'package.json'))

/** A stream of sonic-boom's, as pino.destination makes it. */
export interface Destination {
  once(event: 'ready' | 'close', listener: () => void): void
  on(event: 'drain', listener: () => void): void
  on(event: 'error', listener: (error: Error) => void): void
  flush(done: (error?: Error) => void): void
  end(): void
}

/** A stream to a worker thread, which is no reason for the process to stay unless `ref` says so. */
interface Transport extends Destination {
  ref(): void
}

export interface Pino {
  (options: object, destination: object): { info(event: object): void }
  destination(options: object): Destination
  transport(options: object): Transport
}

interface Lmdb {
  open(options: object): LmdbStore
}

interface LmdbStore {
  put(key: number, value: string): Promise<boolean> & { readonly flushed: Promise<unknown> }
  getRange(): Iterable<{ readonly value: string }>
  close(): Promise<void>
}

interface SqliteModule {
  new (path: string): Sqlite
}

interface Sqlite {
  pragma(text: string): unknown
  exec(sql: string): void
  prepare(sql: string): SqliteStatement
  transaction(run: (lines: readonly string[]) => void): (lines: readonly string[]) => void
  close(): void
}

interface SqliteStatement {
  run(line: string): unknown
  pluck(): SqliteStatement
  iterate(): Iterable<string>
}

const COMMON = {
  outcome: 'durable',
  keepsOrder: true,
  inFlightMax: Number.POSITIVE_INFINITY,
} as const

/** No time, process or host: the event has its own time, and the others do not write the rest. */
export const PINO_OPTIONS = { base: null, timestamp: false } as const

/** Promises that are resolved together. */
class Waiting {
  #resolves: ((outcome: AuditOutcome) => void)[] = []

  get isEmpty(): boolean {
    return this.#resolves.length === 0
  }

  add(): Promise<AuditOutcome> {
    return new Promise((resolve) => this.#resolves.push(resolve))
  }

  resolveAll(): void {
    const resolves = this.#resolves
    this.#resolves = []
    for (const resolve of resolves) resolve('durable')
  }
}

/**
 * sonic-boom with `fsync` syncs after each write, and emits `drain` once all that it was given is
 * written: it has no acknowledgement of its own.
 */
const PINO_FSYNC: Contender = {
  ...COMMON,
  name: 'pino fsync',
  stored: linesOf,
  open(path) {
    const pino: Pino = requirePeer('pino')
    const destination = pino.destination({ dest: path, sync: false, fsync: true, minLength: 0 })
    const logger = pino(PINO_OPTIONS, destination)
    const waiting = new Waiting()
    destination.on('drain', () => waiting.resolveAll())
    const append = (call: AuditCall) => {
      logger.info(lineObject(call, Date.now()))
      return waiting.add()
    }
    return { append, close: () => ended(destination) }
  },
}

/** Ends a destination; resolves when its file is closed. */
export function ended(destination: Destination): Promise<void> {
  return new Promise((resolve, reject) => {
    destination.once('close', resolve)
    destination.on('error', reject)
    destination.end()
  })
}

const LMDB_OPTIONS = { keyEncoding: 'uint32', encoding: 'string', noSubdir: true } as const

/** Its default: a put is visible before it is synced, and `flushed` resolves when it is. */
const LMDB: Contender = {
  ...COMMON,
  name: 'lmdb',
  open(path) {
    const store = openLmdb(path, { separateFlushed: true })
    let key = 0
    const append = async (call: AuditCall) => {
      await store.put(key++, lineOf(call)).flushed
      return 'durable' as const
    }
    return { append, close: () => store.close() }
  },
  *stored(path) {
    const store = openLmdb(path, { readOnly: true })
    for (const { value } of store.getRange()) yield value.trimEnd()
    void store.close()
  },
}

function openLmdb(path: string, options: object): LmdbStore {
  const lmdb: Lmdb = requirePeer('lmdb')
  return lmdb.open({ path, ...LMDB_OPTIONS, ...options })
}

/** All events of one turn of the event loop in one transaction, which blocks until it is synced. */
const SQLITE: Contender = {
  ...COMMON,
  name: 'SQLite',
  open(path): Writer {
    const Database: SqliteModule = requirePeer('better-sqlite3')
    const database = new Database(path)
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    database.exec('CREATE TABLE log (id INTEGER PRIMARY KEY, line TEXT NOT NULL)')
    const insert = database.prepare('INSERT INTO log (line) VALUES (?)')
    const insertAll = database.transaction((lines) => {
      for (const line of lines) insert.run(line)
    })
    const waiting = new Waiting()
    let lines: string[] = []
    const commit = () => {
      insertAll(lines)
      lines = []
      waiting.resolveAll()
    }
    const append = (call: AuditCall) => {
      if (waiting.isEmpty) process.nextTick(commit)
      lines.push(lineOf(call))
      return waiting.add()
    }
    return { append, close: () => database.close() }
  },
  *stored(path) {
    const Database: SqliteModule = requirePeer('better-sqlite3')
    const database = new Database(path)
    const lines = database.prepare('SELECT line FROM log ORDER BY id').pluck()
    for (const line of lines.iterate()) yield line.trimEnd()
    database.close()
  },
}

/** The contenders of other packages; none while they are not installed. */
export const PEERS: readonly Contender[] = arePeersInstalled ? [PINO_FSYNC, LMDB, SQLITE] : []
