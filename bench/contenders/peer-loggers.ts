import { once } from 'node:events'
import {
  arePeersInstalled,
  type Destination,
  ended,
  PINO_OPTIONS,
  type Pino,
  requirePeer,
} from './peers'

/*
 * Loggers as people use them for speed: they take an event over and do not say when, or whether, it is on
 * disk. Only their cost on the calling thread is of interest.
 */

/** A logger of plain objects. */
export interface Logger {
  readonly name: string
  open(path: string): Promise<OpenLogger>
}

export interface OpenLogger {
  log(event: object): void
  /** Resolves when this thread has handed over everything that was logged. */
  settle(): Promise<void>
  close(): Promise<void>
}

interface Winston {
  createLogger(options: object): WinstonLogger
  readonly format: { json(): object }
  readonly transports: { readonly File: new (options: object) => NodeJS.EventEmitter }
}

interface WinstonLogger extends NodeJS.EventEmitter {
  log(level: string, event: object): void
  end(): void
}

/** As in pino's own advice for asynchronous logging. */
const ASYNC_BYTES_MIN = 4096

/**
 * pino's open transports. The listeners of their workers refer to them weakly, so nothing else holds a
 * transport while it flushes. If it were collected then, its worker would end as well, and so would the
 * process, which has nothing left to do.
 */
const held = new Set<Destination>()

const PINO_WORKER: Logger = {
  name: 'pino, worker',
  async open(path) {
    const pino: Pino = requirePeer('pino')
    const options = { target: 'pino/file', options: { destination: path } }
    const transport = pino.transport(options)
    held.add(transport)
    transport.once('close', () => held.delete(transport))
    const opened = await openPino(pino, transport)
    transport.ref()
    return opened
  },
}

const PINO_ASYNC: Logger = {
  name: 'pino, async',
  async open(path) {
    const pino: Pino = requirePeer('pino')
    const options = { dest: path, sync: false, minLength: ASYNC_BYTES_MIN }
    return await openPino(pino, pino.destination(options))
  },
}

async function openPino(pino: Pino, destination: Destination): Promise<OpenLogger> {
  await new Promise<void>((resolve) => destination.once('ready', resolve))
  const logger = pino(PINO_OPTIONS, destination)
  return {
    log: (event) => logger.info(event),
    settle: () =>
      new Promise((resolve, reject) => {
        destination.flush((error) => (error ? reject(error) : resolve()))
      }),
    close: () => ended(destination),
  }
}

const WINSTON: Logger = {
  name: 'winston',
  async open(path) {
    const winston: Winston = requirePeer('winston')
    const transport = new winston.transports.File({ filename: path })
    const logger = winston.createLogger({ format: winston.format.json(), transports: [transport] })
    let pending = 0
    let settled = () => {}
    transport.on('logged', () => {
      pending--
      if (pending === 0) settled()
    })
    return {
      log(event) {
        pending++
        logger.log('info', event)
      },
      async settle() {
        if (pending === 0) return
        await new Promise<void>((resolve) => {
          settled = resolve
        })
      },
      async close() {
        const finished = once(transport, 'finish')
        logger.end()
        await finished
      },
    }
  },
}

/** None while they are not installed. */
export const LOGGERS: readonly Logger[] = arePeersInstalled
  ? [PINO_WORKER, PINO_ASYNC, WINSTON]
  : []
