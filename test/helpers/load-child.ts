import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'

const DIST = join(__dirname, '../../dist')

/** Records events with 64 in flight for ever, and writes the pid of each that succeeds to its output. */
const SCRIPT = `
const { ExecAudit, ExecDiagnostics } = require(${JSON.stringify(DIST)})
const fs = require('node:fs')
const [path, from, method] = process.argv.slice(1)
const options = { fsync: { method }, logger: { warn() {} } }
const audit = new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics(), options)
let pid = Number(from)
const say = (text) => {
  // The pipe is full while its reader is busy.
  for (;;) try { return fs.writeSync(1, text) } catch (error) { if (error.code !== 'EAGAIN') throw error }
}
const loop = async () => {
  for (;;) {
    const mine = pid++
    if ((await audit.started({ requestId: '00'.repeat(16), pid: mine })) !== 'failed') {
      say(mine + '\\n')
    }
  }
}
for (let i = 0; i < 64; i++) loop()
`

/** How a child under load is run. */
export interface Load {
  readonly path: string
  /** The first event's pid; the following ones count up. */
  readonly from: number
  readonly method?: 'fdatasync' | 'none'
  /** Milliseconds from the first acknowledgement to the end. */
  readonly afterMs: number
  /** Called at the end, before the child is killed. */
  readonly atEnd?: (child: ChildProcess) => void
}

/** Runs a child under load and kills it; returns the pids that it had acknowledged. */
export async function runUntilKilled(load: Load): Promise<number[]> {
  const { path, from, method = 'fdatasync', afterMs, atEnd } = load
  const args = ['-e', SCRIPT, '--', path, String(from), method]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  let acked = ''
  const end = () => {
    child.kill('SIGSTOP')
    acked = output
    atEnd?.(child)
    child.kill('SIGKILL')
  }
  await new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text) => {
      if (output === '') setTimeout(end, afterMs)
      output += text
    })
    child.on('close', () => resolve())
  })
  // What came through the pipe later was acknowledged before the end just as well. The last number
  // may be cut by the kill; it counts only with its newline.
  const counted = atEnd === undefined ? output : acked
  return counted.split('\n').slice(0, -1).map(Number)
}

/** Pids of the lines of a log, and how many of its lines are not whole. */
export function readPids(text: string): { pids: Set<number>; torn: number } {
  const pids = new Set<number>()
  let torn = 0
  for (const line of text.split('\n')) {
    try {
      pids.add(JSON.parse(line).pid)
    } catch {
      if (line !== '') torn++
    }
  }
  return { pids, torn }
}

/** A small seeded generator of numbers from 0 up to 1; prints its seed, `SEED=n` replays it. */
export function seededRandom(): () => number {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
  process.stdout.write(`    seed: SEED=${seed}\n`)
  let state = seed
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
}
