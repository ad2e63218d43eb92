import { existsSync, readFileSync } from 'node:fs'
import { type RunningChild, startChild } from '../support/children/run-child'
import { CATCH_WORKERS } from '../support/children/worker-scripts'
import { tableOf, textOf } from '../support/documents'
import { startedLines } from '../support/events'
import { endStrace, itWithStrace, statusOf, straceBeside } from '../support/strace'
import { useTempDir } from '../support/temp-dir'
import { leastOf, until } from '../support/waiting'

const PENDING = 20
const EXIT_DRAIN_MS = 300

interface Ending {
  /** The body of `end()`. */
  readonly script: string
  /** What the main thread then does, if the audit is in a worker thread that it has started. */
  readonly host?: string
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

function bySignal(signal: NodeJS.Signals, script = `process.kill(process.pid, '${signal}')`) {
  return { script, code: null, signal }
}

/** The audit is in a worker thread, and the main thread ends it. */
function inWorker(host: string): Ending {
  const script = `require('node:worker_threads').parentPort.postMessage('')`
  return { script, host, code: 0, signal: null }
}

/** Runs a child's code once more, in a worker thread. */
const startHost = (host: string) => `
  const worker = new (require('node:worker_threads').Worker)(process._eval, { eval: true, argv: [path] })
  worker.on('message', () => {
    require('node:fs').writeSync(1, 'ending ')
    ${host}
  })`

/** In a worker thread the arguments stand one place further on. */
const SHIFT_ARGUMENTS = `if (!require('node:worker_threads').isMainThread) process.argv.splice(1, 1);`

/** The manual's own recipe for a shutdown, for a gateway in which no command runs. */
const HANDLER = `
  const server = require('node:http').createServer()
  const runner = createRunner(audit)
  ${/^for \(const signal of [\s\S]*?^}$/m.exec(textOf('docs/embedding.md'))?.[0]}`

/** The rows of the table in docs/guarantees.md, by their first cell. */
const ENDINGS: Readonly<Record<string, Ending>> = {
  'nothing left to do': { script: '', code: 0, signal: null },
  '`process.exit()`': { script: 'process.exit(3)', code: 3, signal: null },
  'an uncaught exception': { script: `throw new Error('boom')`, code: 1, signal: null },
  'an unhandled rejection': {
    script: `void Promise.reject(new Error('boom'))`,
    code: 1,
    signal: null,
  },
  'SIGTERM, with the handler': {
    script: `${HANDLER}; process.kill(process.pid, 'SIGTERM')`,
    code: 0,
    signal: null,
  },
  'SIGTERM, without a handler': bySignal('SIGTERM'),
  'SIGINT, without a handler': bySignal('SIGINT'),
  SIGKILL: bySignal('SIGKILL'),
  '`process.abort()`': bySignal('SIGABRT', 'process.abort()'),
  'in a worker thread: its own `process.exit()`': { ...inWorker(''), script: 'process.exit(3)' },
  'in a worker thread: that of the main thread': { ...inWorker('process.exit(3)'), code: 3 },
  'in a worker thread: `terminate()`': inWorker('worker.terminate()'),
}

interface State {
  /** Brings the child into the column's state, with the pending events accepted, and calls `end()`. */
  readonly script: string
  readonly fault?: string
}

/** Ends when pending events are in the file but their sync, which strace holds up, is not done. */
const IN_A_SYNC = `
first().then(() => {
  accept()
  const size = ${startedLines(1).length}
  until('nothing is written', () => fs.statSync(path).size !== size).then(() => setImmediate(end))
})`

const HUNG = 'fdatasync:delay_enter=600000000:when=2+'

/** The columns of the table in docs/guarantees.md. */
const STATES: Readonly<Record<string, State>> = {
  'worker starting': { script: 'first(); accept(); end()' },
  // The loop runs empty when the session has ended.
  'worker asleep': { script: `first(); process.once('beforeExit', () => { accept(); end() })` },
  'in a sync': { script: IN_A_SYNC, fault: 'fdatasync:delay_enter=500000:when=2' },
  'worker just died': {
    script: `
      first().then(() => setImmediate(() => {
        accept()
        workers.at(-1).terminate()
        end()
      }))`,
  },
  'disk hung': { script: IN_A_SYNC, fault: HUNG },
}

/** Each event writes its pid to the output when it is durable. */
const SCRIPT = `
const fs = require('node:fs')
const audit = open({ exitDrainMs: EXIT_DRAIN_MS })
const record = (pid) => audit.started({ requestId, pid }).then((outcome) => {
  if (outcome === 'durable') fs.writeSync(1, pid + ' ')
})
const first = () => record(0)
const accept = () => { for (let pid = 1; pid <= ${PENDING}; pid++) record(pid) }
`

const WITHOUT_CORE_DUMP = ['sh', '-c', 'ulimit -c 0; exec "$0" "$@"']

/** The table of docs/guarantees.md, as [row, column, cell]. */
function readTable(): [string, string, string][] {
  const [header = [], ...rows] = tableOf('docs/guarantees.md', 'exit-matrix')
  return rows.flatMap(([row = '', ...cells]) =>
    cells.map((cell, i): [string, string, string] => [row, header[i + 1] ?? '', cell]),
  )
}

describe('when the process ends', () => {
  const dir = useTempDir()
  const log = () => readFileSync(dir.path('exec.log'), 'utf8')

  const start = (ending: Ending, state: State, exitDrainMs: number): RunningChild => {
    const path = dir.path('exec.log')
    const tracer = state.fault === undefined ? [] : straceBeside(path, state.fault)
    const script = `const EXIT_DRAIN_MS = ${exitDrainMs}
      const end = () => { ${ending.script} }
      ${SCRIPT} ${state.script}`
    const { host } = ending
    const whole =
      host === undefined
        ? script
        : `if (require('node:worker_threads').isMainThread) {${startHost(host)}} else {${script}}`
    const before = `${SHIFT_ARGUMENTS}${CATCH_WORKERS}`
    return startChild(whole, [path], [...tracer, ...WITHOUT_CORE_DUMP], before)
  }

  /** The audit's reports, and the events that were acknowledged. */
  const summaryOf = async (child: RunningChild) => {
    const { code, signal, stdout, stderr } = await child.end
    const said = stderr.match(/exec audit: .*/g) ?? []
    return { code, signal, said, acknowledged: stdout.match(/\d+/g)?.map(Number) ?? [] }
  }

  /**
   * Waits until a signal has killed all but the thread that strace holds, and has strace release it. The
   * end of a worker thread waits for that thread.
   */
  const letDie = async ({ process: child, said }: RunningChild, isHosted: boolean) => {
    if (isHosted) {
      await said('ending')
      endStrace(child)
      return
    }
    const isOver = () => child.exitCode !== null || child.signalCode !== null
    const isZombie = () => /^State:\tZ/m.test(statusOf(`/proc/${child.pid}`))
    await until('it does not die', () => isOver() || isZombie())
    if (!isOver()) endStrace(child)
  }

  /**
   * The log. Below a worker thread a group that a dead worker had begun is doubted and written again, so there
   * a line may stand twice: it counts once.
   */
  const linesOf = ({ host }: Ending) => {
    if (host === undefined) return log()
    return [...new Set(log().split(/(?<=\n)/))].join('')
  }

  const TOLD = () =>
    `exec audit: ${PENDING} events are not known to be in ${dir.path('exec.log')}: the process ended while the disk did not answer for ${EXIT_DRAIN_MS} ms`

  /** Proves a cell, by its text. */
  const proofs: Readonly<Record<string, (ending: Ending, state: State) => Promise<void>>> = {
    async all(ending, state) {
      const { code, signal } = ending
      const summary = await summaryOf(start(ending, state, 60_000))
      expect(summary).toMatchObject({ code, signal, said: [] })
      expect(linesOf(ending)).toBe(startedLines(1 + PENDING))
    },

    async durable(ending, state) {
      const { code, signal } = ending
      const child = start(ending, state, 60_000)
      if (state.fault !== undefined) await letDie(child, ending.host !== undefined)
      const summary = await summaryOf(child)
      const count = summary.acknowledged.length
      const acknowledged = Array.from({ length: count }, (_, pid) => pid)
      expect(summary).toEqual({ code, signal, said: [], acknowledged })
      // Nothing torn, nothing out of order; and more than was acknowledged may have been written.
      const text = count === 0 && !existsSync(dir.path('exec.log')) ? '' : linesOf(ending)
      const lines = text.split('\n').length - 1
      expect(text).toBe(startedLines(lines))
      expect(lines).toBeGreaterThanOrEqual(count)
    },

    async reported(ending, state) {
      const { code, signal } = ending
      const child = start(ending, state, EXIT_DRAIN_MS)
      await child.said(TOLD())
      // Node waits for the thread in the system call, and ends when the disk answers.
      endStrace(child.process)
      const summary = await summaryOf(child)
      expect(summary).toEqual({ code, signal, said: [TOLD()], acknowledged: [0] })
    },

    async waits(ending, state) {
      const { code, signal } = ending
      const answering = { ...state, fault: 'fdatasync:delay_enter=3000000:when=2' }
      const summary = await summaryOf(start(ending, answering, EXIT_DRAIN_MS))
      // If the process had come to its end, no promise would have been settled any more.
      const acknowledged = Array.from({ length: 1 + PENDING }, (_, pid) => pid)
      expect(summary).toEqual({ code, signal, said: [], acknowledged })
      expect(log()).toBe(startedLines(1 + PENDING))
    },
  }

  for (const [row, column, cell] of readTable()) {
    const [ending, state, proof] = [ENDINGS[row], STATES[column], proofs[cell]]
    if (ending === undefined || state === undefined || proof === undefined) {
      throw new Error(`the table has an unknown cell: ${row}, ${column}: ${cell}`)
    }
    const test = state.fault === undefined ? it : itWithStrace
    test(`by ${row}, ${column}: ${cell}`, () => proof(ending, state))
  }

  itWithStrace(
    'exitDrainMs is one limit for all exit handlers, and each reports its lost events',
    async () => {
      const late = `
      process.on('exit', () => {
        const from = performance.now()
        record(${1 + PENDING})
        fs.writeSync(1, 'late ' + (performance.now() - from) + '\\n')
      })
      const end = () => process.exit(3)`
      const script = `const EXIT_DRAIN_MS = 2_000; ${SCRIPT} ${late} ${IN_A_SYNC}`
      const lateMs = await leastOf(1_500, async (run) => {
        const path = dir.path(`exec-${run}.log`)
        const child = startChild(script, [path], straceBeside(path, HUNG))
        await child.said('late')
        endStrace(child.process)
        const { code, stdout, stderr } = await child.end
        expect(code).toBe(3)
        expect(stderr.match(/exec audit: \d+ events/g)).toEqual([
          `exec audit: ${PENDING} events`,
          `exec audit: ${PENDING + 1} events`,
        ])
        return Number(/late ([\d.]+)/.exec(stdout)?.[1])
      })
      expect(lateMs).toBeLessThan(1_500)
    },
    180_000,
  )

  itWithStrace(
    'exitDrainMs is one limit for all audits, and those whose disk answers lose nothing',
    async () => {
      const script = `
        const fs = require('node:fs')
        const [, well, ...hung] = process.argv
        const openOne = (auditLogPath, exitDrainMs) =>
          new ExecAudit({ enabled: true, auditLogPath }, new ExecDiagnostics(), { clock: () => 0, exitDrainMs })
        const record = (audit, pids) => Promise.all(pids.map((pid) => audit.started({ requestId, pid })))
        const pids = Array.from({ length: ${PENDING} }, (_, i) => i + 1)
        const isInSync = (path) => fs.statSync(path).size > ${startedLines(1).length}
        const end = () => {
          record(openOne(well, 10_000), [0, ...pids])
          const from = performance.now()
          process.on('exit', () => fs.writeSync(1, 'exit ' + (performance.now() - from) + '\\n'))
          process.exit(3)
        }
        const main = async () => {
          const audits = []
          // One after another: a busy machine takes long to start that many workers at once.
          for (const path of hung) {
            const audit = openOne(path, 2_000)
            await record(audit, [0])
            audits.push(audit)
          }
          for (const audit of audits) record(audit, pids)
          // Not before: this thread would drain in place of a worker that is asleep, and hang itself.
          until('not all are written', () => hung.every(isInSync)).then(() => setImmediate(end))
        }
        main()`
      const exitMs = await leastOf(2_900, async (run) => {
        // With this many audits a fixed time for each would add up to the whole limit.
        const hung = Array.from({ length: 25 }, (_, i) => dir.path(`hung-${run}-${i + 10}`))
        const [first = '', ...others] = hung
        const tracer = [...straceBeside(first, HUNG), ...others.flatMap((path) => ['-P', path])]
        const well = dir.path(`well-${run}`)
        const child = startChild(script, [well, ...hung], tracer)
        await child.said('exit')
        endStrace(child.process)
        const { code, stdout, stderr } = await child.end
        expect(code).toBe(3)
        expect(stderr.match(/exec audit: .*/g)?.sort()).toEqual(
          hung.map(
            (path) =>
              `exec audit: ${PENDING} events are not known to be in ${path}: the process ended while the disk did not answer for 2000 ms`,
          ),
        )
        expect(readFileSync(well, 'utf8')).toBe(startedLines(1 + PENDING))
        const ms = Number(/exit ([\d.]+)/.exec(stdout)?.[1])
        expect(ms).toBeGreaterThanOrEqual(1_999)
        return ms
      })
      expect(exitMs).toBeLessThan(2_900)
    },
    180_000,
  )

  it('each way to end and each state of the worker is in docs/guarantees.md, once', () => {
    const cells = Object.keys(ENDINGS).flatMap((row) =>
      Object.keys(STATES).map((column) => [row, column]),
    )
    expect(readTable().map(([row, column]) => [row, column])).toEqual(cells)
  })
})
