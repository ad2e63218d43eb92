import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { AGENT_ID, MACHINE_ID, REQUEST_ID, startedLine } from '../events'
import { pause } from '../waiting'

const DIST = join(__dirname, '../../../dist')
/** Events under way at once, if they have no filling. */
const IN_FLIGHT = 64

/**
 * Records events without end, and prints the pid of each that succeeds and each torn tail that the writer
 * reports.
 */
const SCRIPT = `
const { ExecAudit, ExecDiagnostics } = require(${JSON.stringify(DIST)})
const fs = require('node:fs')
const [path, from, method, fill, rotateEach] = process.argv.slice(1)
const say = (text) => {
  // The pipe is full while its reader is busy.
  for (;;) try { return fs.writeSync(1, text) } catch (error) { if (error.code !== 'EAGAIN') throw error }
}
const logger = {
  warn({ code }, message) {
    if (code === 'AUDIT_TORN_TAIL') say('torn ' + message.match(/had (.*) without a newline at (.*), left/).slice(1) + '\\n')
  },
}
const options = { fsync: { method }, logger, clock: () => 0 }
const audit = new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics(), options)
const [requestId, agentId, machineId] = ${JSON.stringify([REQUEST_ID, AGENT_ID, MACHINE_ID])}
const record = (pid) => {
  if (Number(fill) === 0) return audit.started({ requestId, pid })
  const argv = [String(pid), String(pid % 10).repeat(Number(fill))]
  return audit.denial({ requestId, agentId, machineId, argv, reason: 'argv_not_allowed' })
}
let pid = Number(from)
let acked = 0
const loop = async () => {
  for (;;) {
    const mine = pid++
    if ((await record(mine)) === 'failed') continue
    say(mine + '\\n')
    if (++acked % Number(rotateEach) === 0 && fs.existsSync(path)) fs.renameSync(path, path + '.' + acked)
  }
}
for (let i = Number(fill) > 0 ? 8 : ${IN_FLIGHT}; i > 0; i--) loop()
`

/** How a child under load is run. */
export interface Load {
  readonly path: string
  /** The first event's pid; the following ones count up. */
  readonly from: number
  readonly method?: 'fdatasync' | 'none'
  /** Characters that make each line longer. */
  readonly fill?: number
  /** The log is renamed each time after this many acknowledgements. */
  readonly rotateEach?: number
  /** Milliseconds from the first acknowledgement (of an event in a second file, if there is one) to the end. */
  readonly afterMs: number
  /** Whether the end also waits for the report of a torn tail. */
  readonly isTorn?: boolean
  /** Called at the end, before the child is killed. */
  readonly atEnd?: (child: ChildProcess) => void
}

/** The output of a child before it was killed. */
export interface LoadEnd {
  /** Pids that were acknowledged, in that order. */
  readonly acked: readonly number[]
  readonly torn: readonly string[]
}

/** The line of the event with this pid, newline included. */
export function loadLine(pid: number, fill = 0): string {
  if (fill === 0) return startedLine(pid)
  const event = {
    event: 'denial',
    ts_unix_ms: 0,
    request_id: REQUEST_ID,
    agent_id: AGENT_ID,
    machine_id: MACHINE_ID,
    argv: [String(pid), String(pid % 10).repeat(fill)],
    reason: 'argv_not_allowed',
  }
  return `${JSON.stringify(event)}\n`
}

/** Runs a child under load and kills it. */
export async function runUntilKilled(load: Load): Promise<LoadEnd> {
  const { path, from, method = 'fdatasync', fill = 0, rotateEach = Number.NaN } = load
  const { afterMs, isTorn = false, atEnd } = load
  // When the log is renamed, events in flight still go to the old file; later ones go to the next file.
  const ackedMin = rotateEach > 0 ? rotateEach + IN_FLIGHT : 1
  const args = ['-e', SCRIPT, '--', path, ...[from, method, fill, rotateEach].map(String)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  let atStop = ''
  let isArmed = false
  const end = () => {
    child.kill('SIGSTOP')
    atStop = output
    atEnd?.(child)
    child.kill('SIGKILL')
  }
  await new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      if (isArmed || (isTorn && !/^torn .*\n/m.test(output))) return
      if ((output.match(/^\d+\n/gm)?.length ?? 0) < ackedMin) return
      isArmed = true
      void pause(afterMs).then(end)
    })
    child.on('close', () => resolve())
  })
  // Output that came through the pipe later was acknowledged before the end as well. The kill may cut the last
  // line, which counts only with its newline.
  const lines = (atEnd === undefined ? output : atStop).split('\n').slice(0, -1)
  return {
    acked: lines.filter((line) => !line.startsWith('torn ')).map(Number),
    torn: lines.filter((line) => line.startsWith('torn ')),
  }
}

/** The pids of a log's whole lines. */
export function readPids(text: string): Set<number> {
  return new Set(Array.from(text.matchAll(/"pid":(\d+)}\n/g), ([, pid]) => Number(pid)))
}
