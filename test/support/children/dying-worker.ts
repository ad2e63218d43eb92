import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OFFSETS } from './worker-scripts'

const DIST = join(__dirname, '../../../dist')

/** How a worker dies of itself; `terminate`: it does not. */
export type Death = 'throw' | 'uncaught' | 'exit' | 'memory' | 'terminate'

/** Which worker is made. */
export interface DyingWorker {
  readonly death: Death
  readonly seed: number
  /** It dies at one of this many of its calls, drawn anew for each life. */
  readonly within: number
  /** Gains a byte with each death. */
  readonly deaths: string
}

/*
 * The calls that a worker may die before or after. An error that is thrown inside the sink counts as
 * the disk's, so 'throw' has only those around it: between groups, and before and after a group's outcome
 * is published.
 *
 * None dies while it syncs the error probe of a group, see group-journal.ts: if one does, the group is
 * doubted and written twice, and nothing else is promised.
 */
const SOURCE = `
const fs = require('node:fs')
const { threadId } = require('node:worker_threads')
const { FLUSH_UP_TO, DURABLE, JOURNAL_STATE } = require(DIST + '/writer/ring/memory-map.js')
const { COUNT_GROUPS } = require(DIST + '/writer/ring/counters.js')
const { appendFileSync } = fs
let state = seed + threadId * 7919
const random = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32
let left = 0
const arm = () => { left = 1 + Math.floor(random() * within) }
for (let i = 0; i < 10; i++) arm()

const DEATHS = {
  throw: () => { arm(); throw new Error('thrown by the test') },
  exit: () => { process.exit(1); for (;;); },
  // In small pieces: from Node 24 on, what fills a large array at once is not stopped at the limit.
  memory: () => { for (let hoard = null; ; ) hoard = { hoard } },
}
const die = () => {
  appendFileSync(deaths, 'x')
  DEATHS[death]()
}
const DOUBTED = 2
let isAsking = false
const isSpared = (name, [array, index, value]) => {
  const wasAsking = isAsking
  if (name === 'store' && isWord('journal', JOURNAL_STATE)(array, index)) isAsking = value === DOUBTED
  return wasAsking || isAsking
}
const mayDie = (object, name, isPoint = () => true) => {
  const call = object[name]
  object[name] = function (...args) {
    if (isSpared(name, args) || !isPoint(...args) || --left !== 0) return Reflect.apply(call, this, args)
    if (random() < 0.5) Reflect.apply(call, this, args)
    return die()
  }
}
const isWord = (part, word) => (array, index) => array.byteOffset === OFFSETS[part] && index === word

// So that it is often met while it waits in its event loop, too.
require(DIST + '/writer/ring/messages.js').IDLE_LINGER_MS = 50
const worker = require(DIST + '/writer/worker/exec-audit-worker.js')
if (death === 'throw') {
  mayDie(Atomics, 'load', isWord('ring', FLUSH_UP_TO))
  mayDie(Atomics, 'store', isWord('ring', DURABLE))
  mayDie(Atomics, 'add', isWord('counts', COUNT_GROUPS))
} else if (death !== 'uncaught' && death !== 'terminate') {
  for (const name of ['store', 'exchange', 'compareExchange', 'notify', 'add']) mayDie(Atomics, name)
  for (const name of ['openSync', 'writeSync', 'fdatasyncSync', 'fsyncSync', 'fstatSync', 'statSync', 'readSync', 'closeSync']) {
    mayDie(fs, name)
  }
}
if (death === 'uncaught') {
  // While it waits in its event loop.
  const { waitAsync } = Atomics
  Atomics.waitAsync = (...args) => {
    if (--left === 0) {
      appendFileSync(deaths, 'x')
      setImmediate(() => { throw new Error('thrown by the test') })
    }
    return waitAsync(...args)
  }
}
module.exports = worker
`

/** Writes the file of a worker that is the real one, but dies of itself; returns its path. */
export function writeDyingWorker(file: string, worker: DyingWorker): string {
  const { deaths } = worker
  const settings = Object.entries({ ...worker, DIST, OFFSETS }).map(
    ([name, value]) => `const ${name} = ${JSON.stringify(value)}\n`,
  )
  writeFileSync(deaths, '')
  writeFileSync(file, settings.join('') + SOURCE)
  return file
}
