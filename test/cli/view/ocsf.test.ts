import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCli } from '../../support/cli'
import { AGENT_ID, MACHINE_ID } from '../../support/events'
import { useTempDir } from '../../support/temp-dir'

const dir = useTempDir()

const T = 1_795_381_262_985
const id = (byte: string) => byte.repeat(16)
const parties = { agent_id: AGENT_ID, machine_id: MACHINE_ID }
const request = (byte: string, more: object = {}) =>
  JSON.stringify({
    ...{ event: 'request', ts_unix_ms: T, request_id: id(byte), ...parties },
    ...{ argv: ['/bin/ls', 'x y'], matched_acl: 'rule-1', stdin_bytes: 5, timeout_ms: 100 },
    ...more,
  })
const started = (byte: string) =>
  JSON.stringify({ event: 'started', ts_unix_ms: T + 1, request_id: id(byte), pid: 77 })
const exit = (byte: string, code: number | null, signal: number | null, duration_ms = 99) =>
  JSON.stringify({
    ...{ event: 'exit', ts_unix_ms: T + 9, request_id: id(byte), code, signal, duration_ms },
    ...{ stdout_bytes: 1, stderr_bytes: 2, truncated: false },
  })
const warning = (byte: string, kind: string) =>
  JSON.stringify({ event: 'warning', ts_unix_ms: T + 5, request_id: id(byte), kind, bytes: 7 })
const denial = (byte: string, reason: string) =>
  JSON.stringify({
    ...{ event: 'denial', ts_unix_ms: T + 2, request_id: id(byte), ...parties },
    ...{ argv: ['rm', '-rf', '/'], reason },
  })

const LAUNCH = { class_uid: 1007, activity_id: 1, activity_name: 'Launch', type_uid: 100_701 }
const TERMINATE = { class_uid: 1007, activity_id: 2, type_uid: 100_702 }
const OTHER = { class_uid: 1007, activity_id: 99, type_uid: 100_799 }
const ALLOWED = { action_id: 1, disposition_id: 1 }
const asked = {
  process: { uid: id('01'), name: 'ls', cmd_line: "/bin/ls 'x y'" },
  actor: { app_uid: AGENT_ID },
  device: { uid: MACHINE_ID, type_id: 0, type: 'Unknown' },
}

interface Case {
  readonly lines: readonly string[]
  /** What each event has, among other fields. */
  readonly events: readonly object[]
}

/** By the rows of the table in docs/ocsf.md. */
const CASES: Readonly<Record<string, Case>> = {
  '`request` and `started`': {
    lines: [request('01'), started('01')],
    events: [
      {
        ...{ ...LAUNCH, ...ALLOWED, status_id: 1, time: T + 1, start_time: T },
        process: { ...asked.process, pid: 77, created_time: T + 1 },
      },
    ],
  },
  '`request` and a `spawn_failed`': {
    lines: [request('01'), denial('01', 'spawn_failed')],
    events: [{ ...LAUNCH, ...ALLOWED, status_id: 2, status_detail: 'spawn_failed', time: T + 2 }],
  },
  '`request` alone': {
    lines: [request('01')],
    events: [{ ...LAUNCH, ...ALLOWED, status_id: 0, time: T }],
  },
  '`started` alone': {
    lines: [started('01')],
    events: [
      {
        ...{ ...LAUNCH, ...ALLOWED, status_id: 1, actor: { app_name: 'unknown' } },
        ...{ process: { uid: id('01'), pid: 77, created_time: T + 1 } },
      },
    ],
  },
  '`denial`': {
    lines: [denial('01', 'argv_not_allowed')],
    events: [
      {
        ...{ ...LAUNCH, action_id: 2, disposition_id: 2, disposition: 'Blocked' },
        ...{ status_id: 2, status_detail: 'argv_not_allowed' },
        process: { uid: id('01'), name: 'rm', cmd_line: 'rm -rf /' },
      },
    ],
  },
  '`exit`': {
    lines: [exit('01', 0, null), exit('02', 3, null), exit('03', null, 9)],
    events: [
      { ...TERMINATE, status_id: 1, exit_code: 0, duration: 99 },
      { ...TERMINATE, status_id: 2, exit_code: 3 },
      { ...TERMINATE, status_id: 2 },
    ],
  },
  '`exit` at its limit, by a signal': {
    lines: [request('01'), started('01'), exit('01', null, 9, 100)],
    events: [LAUNCH, { ...TERMINATE, status_id: 2, status_detail: 'timed out' }],
  },
  '`warning`': {
    lines: [warning('01', 'stdout_approaching_cap')],
    events: [{ ...OTHER, activity_name: 'stdout_approaching_cap', severity_id: 2 }],
  },
  '`warning` of a cap or a lease': {
    lines: ['stdout_cap_hit', 'stderr_cap_hit', 'lease_expired'].map((kind) => warning('01', kind)),
    events: [3, 3, 3].map((severity_id) => ({ ...OTHER, severity_id })),
  },
  'request id, argv': {
    lines: [request('01')],
    events: [{ process: asked.process }],
  },
  'agent, machine': {
    lines: [request('01'), exit('01', 0, null)],
    events: [LAUNCH, TERMINATE].map((kind) => ({
      ...kind,
      ...{ actor: asked.actor, device: asked.device },
    })),
  },
  '`context`': {
    lines: [request('01', { context: { principal: 'ann', session: 's-1', cwd: '/' } })],
    events: [
      {
        actor: { app_uid: AGENT_ID, user: { uid: 'ann', name: 'ann' }, session: { uid: 's-1' } },
        unmapped: {
          ...{ stdin_bytes: 5, timeout_ms: 100 },
          context: { principal: 'ann', session: 's-1', cwd: '/' },
        },
      },
    ],
  },
  rule: { lines: [request('01')], events: [{ policy: { name: 'rule-1' } }] },
  'standard input, limit, bytes, signal': {
    lines: [request('01'), warning('01', 'cancelled'), exit('01', null, 9)],
    events: [
      { unmapped: { stdin_bytes: 5, timeout_ms: 100 } },
      { unmapped: { bytes: 7 } },
      { unmapped: { signal: 9, stdout_bytes: 1, stderr_bytes: 2, truncated: false } },
    ],
  },
  'the line': {
    lines: ['', request('01'), started('01')],
    events: [
      {
        metadata: expect.objectContaining({ original_event_uid: '2', event_code: 'request' }),
        raw_data_hash: {
          ...{ algorithm_id: 3, algorithm: 'SHA-256' },
          value: createHash('sha256').update(request('01')).digest('hex'),
        },
      },
    ],
  },
  'the same line again': {
    lines: [request('01'), started('01'), request('01'), started('01')],
    events: [LAUNCH],
  },
}

describe('view -o ocsf', () => {
  const eventsOf = async (lines: readonly string[], ...args: readonly string[]) => {
    const log = dir.path('exec.log')
    writeFileSync(log, lines.map((line) => `${line}\n`).join(''))
    const { code, stdout } = await runCli(['view', '-o', 'ocsf', ...args, log])
    expect(code).toBe(0)
    return stdout
      .split('\n')
      .slice(0, -1)
      .map((line): unknown => JSON.parse(line))
  }

  it.each(Object.entries(CASES))('maps: %s', async (_, { lines, events }) => {
    expect(await eventsOf(lines)).toEqual(events.map((event) => expect.objectContaining(event)))
  })

  it('has a row in its table for each of these cases, and no other', () => {
    const page = readFileSync(join(__dirname, '../../../docs/ocsf.md'), 'utf8')
    const [, table = ''] = page.split('<!-- ocsf -->\n')
    const rows = table
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .slice(2)
      .map((line) => line.split('|')[1]?.trim())
    expect(rows).toEqual(Object.keys(CASES))
  })

  it('shows a launch if its request or its start was asked for', async () => {
    const lines = [request('01'), started('01'), exit('01', 0, null), denial('02', 'exec_disabled')]
    const counts: number[] = []
    for (const event of ['request', 'started', 'exit', 'denial', 'warning']) {
      counts.push((await eventsOf(lines, '--event', event)).length)
    }
    expect(counts).toEqual([1, 1, 1, 1, 0])
    expect(await eventsOf(lines, '-n', '1')).toMatchObject([{ status_detail: 'exec_disabled' }])
  })

  it('is no form of whole commands', async () => {
    const { code, stderr } = await runCli(['view', '-o', 'ocsf', '--commands', dir.path('x')])
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr:
        'x0x-exec-audit: -o ocsf has a form of its own; leave out --commands and --open (--help shows the usage)\n',
    })
  })
})
