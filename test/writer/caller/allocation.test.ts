import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import {
  denialEvent,
  exitEvent,
  requestEvent,
  startedEvent,
  warningEvent,
} from '../../support/events'
import { useTempDir } from '../../support/temp-dir'
import { WAITING } from '../../support/waiting'

const ROOT = join(__dirname, '../../..')
/** So that between two looks at the heap nothing is collected, swept or compiled on another thread. */
const V8_FLAGS = [
  '--expose-gc',
  '--min-semi-space-size=64',
  '--max-semi-space-size=64',
  '--single-threaded-gc',
  '--no-concurrent-recompilation',
]

const RUNS_MAX = 5
/** The time, as a number on the heap, and what V8 takes for itself. */
const SPARE_BYTES = 40
/** V8's string of two others, and one's own bytes beside its text. */
const STRING_BYTES = 32

const ARGV = ['sh', '-c', 'x'.repeat(100)]
const EVENTS = {
  request: requestEvent({ argv: ARGV, matchedAcl: 'rule-1' }),
  started: startedEvent(),
  warning: warningEvent(),
  exit: exitEvent(),
  denial: denialEvent({ argv: ['sh'] }),
}

/**
 * Prints the bytes of heap that a bare promise takes with what settles it, and one call of each method:
 * the median of rounds, since V8 now and then gives back or takes some itself while one runs.
 */
const SCRIPT = `
${WAITING}
const { ExecAudit, ExecDiagnostics } = require(${JSON.stringify(ROOT)})
const [path, events] = [process.argv[1], JSON.parse(process.argv[2])]
const CALLS = 20_000, WARM_UPS = 10, ROUNDS = 9
const policy = { enabled: true, auditLogPath: path }
const audit = new ExecAudit(policy, new ExecDiagnostics(), { ringBytes: 2 ** 24, fsync: { method: 'none' } })
const held = new Array(CALLS)
let settle
const executor = (resolve) => { settle = resolve }
const settled = () => audit.drain().then(() => pause(10))
async function bytesOf(call) {
  for (let i = 0; i < WARM_UPS; i++) {
    for (let at = 0; at < CALLS; at++) held[at] = call()
    await audit.drain()
  }
  const found = []
  for (let round = 0; round < ROUNDS; round++) {
    await settled()
    gc()
    const before = process.memoryUsage().heapUsed
    for (let at = 0; at < CALLS; at++) held[at] = call()
    found.push((process.memoryUsage().heapUsed - before) / CALLS)
  }
  return Math.round(found.sort((a, b) => a - b)[ROUNDS >> 1])
}
async function main() {
  const bytes = { promise: await bytesOf(() => new Promise(executor)) }
  for (const [name, event] of Object.entries(events)) bytes[name] = await bytesOf(() => audit[name](event))
  console.log(JSON.stringify(bytes))
  await audit.close()
}
main()
`

describe('a call', () => {
  const dir = useTempDir()

  it('allocates its promise, the run of its strings, and nothing else', () => {
    const args = [...V8_FLAGS, '-e', SCRIPT, '--', dir.path('exec.log'), JSON.stringify(EVENTS)]
    const joined = STRING_BYTES * (ARGV.length + 1) + `rule-1${ARGV.join('')}`.length
    const allowed = { started: 0, warning: 0, exit: 0, denial: 0, request: joined }
    let tooMuch: unknown[] = ['not measured']
    // V8 may have optimised a call differently by then in each process.
    for (let run = 0; run < RUNS_MAX && tooMuch.length > 0; run++) {
      const { promise = 0, ...calls }: Record<string, number> = JSON.parse(
        execFileSync(process.execPath, args, { encoding: 'utf8' }),
      )
      process.stdout.write(`    bytes: ${JSON.stringify({ promise, ...calls })}\n`)
      expect(promise).toBeGreaterThan(STRING_BYTES)
      tooMuch = Object.entries(allowed)
        .filter(([name, bytes]) => (calls[name] ?? Infinity) > promise + bytes + SPARE_BYTES)
        .map(([name]) => [name, calls[name]])
    }
    expect(tooMuch).toEqual([])
  }, 180_000)
})
