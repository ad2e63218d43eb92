import {
  allocateMemory,
  DRAINER,
  DRAINER_CALLER,
  DRAINER_NONE,
} from '../../../src/writer/ring/memory-map'

const MEMORY = allocateMemory(1024)

/** Where the parts of the shared memory start, in bytes: which view an array is. */
export const OFFSETS = {
  ring: MEMORY.ring.words.byteOffset,
  session: MEMORY.session.session.byteOffset,
  journal: MEMORY.journal.words.byteOffset,
  counts: MEMORY.counters.counts.byteOffset,
}

/**
 * To run before the package is loaded: remembers every worker thread that is started in `workers`, so
 * that a script can end it from outside in the middle of its work.
 */
export const CATCH_WORKERS = `
const threads = require('node:worker_threads')
const workers = []
const { Worker } = threads
threads.Worker = class extends Worker {
  constructor(...args) { super(...args); workers.push(this) }
}
// piscina takes Worker out of the module when it is loaded, so it must be loaded now.
require('piscina')
`

/** To run before a script: counts outcomes by their name. */
export const COUNT_OUTCOMES = `
const count = (outcomes) => outcomes.reduce((sum, o) => ({ ...sum, [o]: (sum[o] ?? 0) + 1 }), {})
`

/**
 * To run before the package is loaded: `ringOf(bytes)` finds the shared memory of the ring with that
 * many bytes of records, so that a script can damage it, and `whileNobodyDrains(ring, action)` does so
 * before a drainer reads any record that `action` has published.
 */
export const CATCH_RINGS = `
const shared = []
globalThis.SharedArrayBuffer = new Proxy(SharedArrayBuffer, {
  construct(target, args) {
    shared.push(new target(...args))
    return shared.at(-1)
  },
})
const ringOf = (bytes) => shared.find(({ byteLength }) => byteLength > bytes && byteLength < bytes + 4096)
// A worker may start and drain while this thread runs, but leaves a ring alone that another thread holds.
const whileNobodyDrains = (ring, action) => {
  const session = new Int32Array(ring, ${OFFSETS.session})
  Atomics.store(session, ${DRAINER}, ${DRAINER_CALLER})
  const result = action()
  Atomics.store(session, ${DRAINER}, ${DRAINER_NONE})
  return result
}
`
