import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { MACHINE_ID } from './events'
import { Random } from './random'
import { lineText } from './verified'

/*
 * The log of one busy day, with a few commands in it that an incident is about, and with all that a real log
 * has besides: fragments, lines of other programs, a group that was written twice, rotated files. Whatever is
 * asked about it is known here without reading it.
 */

const START_MS = Date.UTC(2026, 10, 29)
const COMMANDS = 72_000
const STEP_MS = 1_190
const HOUR_MS = 3_600_000

/** A command that the log tells of. */
export interface IncidentCommand {
  readonly id: string
  readonly ms: number
  readonly agent: string
  readonly principal?: string
  readonly argv: readonly string[]
  readonly timeoutMs: number
  readonly end:
    | { readonly code: number | null; readonly signal: number | null; readonly durationMs: number }
    | { readonly reason: string }
    | undefined
}

export interface IncidentLog {
  readonly commands: readonly IncidentCommand[]
  /** Lines in all files. */
  readonly lines: number
  readonly foreign: number
  readonly torn: number
  /** Lines that stand there twice. */
  readonly repeated: number
  /** The command whose request is missing, and the one whose exit was changed. */
  readonly missing: string
  readonly changed: string
}

const hash = (text: string) => createHash('sha256').update(text).digest('hex')
export const agentOf = (name: string) => hash(`agent:${name}`)
const idOf = (n: number) => hash(`request:${n}`).slice(0, 32)
const EXIT = { code: 0, signal: null, durationMs: 12 }
const at = (hours: number, seconds = 0) => START_MS + hours * HOUR_MS + seconds * 1_000

/** What the incident is about; `n` numbers them, so that each id is known. */
function planted(): IncidentCommand[] {
  const [mallory, alice] = [agentOf('mallory'), agentOf('alice')]
  const curl = { agent: mallory, principal: 'user:mallory', timeoutMs: 300_000, end: EXIT }
  const job = { agent: alice, timeoutMs: 300_000 }
  const planned: Omit<IncidentCommand, 'id'>[] = [
    { ...curl, ms: at(13, 3_599), argv: ['curl', 'https://a.example'] },
    { ...curl, ms: at(14), argv: ['curl', '-s', 'https://b.example/x y'] },
    {
      ...curl,
      ms: at(14, 1_800),
      argv: ['/usr/bin/curl', 'https://c.example'],
      end: { reason: 'argv_not_allowed' },
    },
    {
      ...curl,
      ms: at(14, 3_000),
      agent: alice,
      principal: 'user:alice',
      argv: ['curl', '\u001b[2J'],
      end: { ...EXIT, code: 7 },
    },
    { ...curl, ms: at(15, 1), argv: ['curl', 'https://d.example'] },
    { ...job, ms: at(3), argv: ['make', 'all'], end: undefined },
    { ...job, ms: at(20), argv: ['tail', '-f', '/var/log/x'], end: undefined },
    { ...job, ms: at(4), argv: ['pg_dump', 'orders'], end: { ...EXIT, durationMs: 60_001 } },
    {
      ...job,
      ms: at(5),
      argv: ['sleep', '600'],
      end: { code: null, signal: 15, durationMs: 300_004 },
    },
    { ...job, ms: at(6), argv: ['sleep', '60'], end: { ...EXIT, durationMs: 60_000 } },
    { ...job, ms: at(7), argv: ['npm', 'test'], end: { ...EXIT, code: 1 } },
  ]
  return planned.map((command, n) => ({ ...command, id: idOf(n) }))
}

function everyday(random: Random): IncidentCommand[] {
  const agents = Array.from({ length: 40 }, (_, n) => agentOf(`ci-${n}`))
  return Array.from({ length: COMMANDS }, (_, n) => {
    const agent = agents[random.below(agents.length)] ?? ''
    const argv = random.pick([
      ['ls', '-la'],
      ['git', 'status'],
      ['node', 'build.js', `${n}`],
    ])
    const ms = START_MS + n * STEP_MS
    const durationMs = random.below(20_000)
    // The second agent is denied most, though it asks no more than the others.
    const isDenied = random.chance(agent === agents[1] ? 0.2 : 0.01)
    const end = isDenied
      ? { reason: 'argv_not_allowed' }
      : { ...EXIT, code: random.below(20) === 0 ? 1 : 0, durationMs }
    return { id: idOf(1_000 + n), ms, agent, argv, timeoutMs: 300_000, end }
  })
}

interface TimedLine {
  readonly ms: number
  readonly id: string
  readonly event: string
  readonly text: string
}

function linesOf({ id, ms, agent, principal, argv, timeoutMs, end }: IncidentCommand): TimedLine[] {
  const line = (event: string, afterMs: number, fields: object): TimedLine => {
    const time = ms + afterMs
    return { ms: time, id, event, text: lineText(event, id, time, fields) }
  }
  const context = principal === undefined ? {} : { context: { principal } }
  const asked = { agent_id: agent, machine_id: MACHINE_ID, argv }
  if (end !== undefined && 'reason' in end) {
    return [line('denial', 0, { ...asked, reason: end.reason, ...context })]
  }
  const begun = [
    line('request', 0, { ...asked, timeout_ms: timeoutMs, ...context }),
    line('started', 2, { pid: Number.parseInt(id.slice(0, 4), 16) }),
  ]
  if (end === undefined) return begun
  const { code, signal, durationMs } = end
  return [...begun, line('exit', durationMs + 3, { code, signal, duration_ms: durationMs })]
}

const FOREIGN = ['{"level":30,"msg":"not ours"}', 'plain text', '[1,2,3]', '"a string"', '{}']

/** Writes `exec.log.2.gz`, `exec.log.1` and `exec.log` into the folder. */
export function writeIncidentLog(folder: string): IncidentLog {
  const commands = [...planted(), ...everyday(new Random(1))].sort((a, b) => a.ms - b.ms)
  const [missing, changed] = [commandAfter(commands, at(2)), commandAfter(commands, at(9))]
  const events = commands.flatMap(linesOf).sort((a, b) => a.ms - b.ms)
  const texts: string[] = []
  let torn = 0
  let repeated = 0
  for (const [i, { id, event, text }] of events.entries()) {
    if (id === missing && event === 'request') continue
    texts.push(id === changed && event === 'exit' ? text.replace('"code":0', '"code":"0"') : text)
    if (i % 40_000 === 39_999) {
      // A worker died here: its last group was written again, after a fragment of it.
      texts.push(text.slice(0, text.length / 2), ...texts.slice(-5))
      torn++
      repeated += 5
    }
    const foreign = i % 50_000 === 1_000 ? FOREIGN : []
    texts.push(...foreign)
  }
  const foreignLines = texts.filter((text) => FOREIGN.includes(text)).length + 1
  const cuts = [0, 70_000, 140_000, texts.length]
  const parts = cuts.slice(1).map((end, i) => `${texts.slice(cuts[i], end).join('\n')}\n`)
  writeFileSync(join(folder, 'exec.log.2.gz'), gzipSync(parts[0] ?? '', { level: 1 }))
  writeFileSync(join(folder, 'exec.log.1'), parts[1] ?? '')
  writeFileSync(join(folder, 'exec.log'), parts[2] ?? '')
  const known = commands.map((command) =>
    command.id === changed ? { ...command, end: undefined } : command,
  )
  const whole = known.filter(({ id }) => id !== missing)
  return {
    commands: whole,
    lines: texts.length,
    foreign: foreignLines,
    torn,
    repeated,
    missing,
    changed,
  }
}

/** The first command from this time on that ends well. */
function commandAfter(commands: readonly IncidentCommand[], ms: number): string {
  const isGood = ({ end }: IncidentCommand) => end !== undefined && 'code' in end && end.code === 0
  return commands.find((command) => command.ms >= ms && isGood(command))?.id ?? ''
}
