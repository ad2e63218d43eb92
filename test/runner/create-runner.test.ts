import { readFileSync, writeFileSync } from 'node:fs'
import {
  createRunner,
  idOf,
  loadExecPolicy,
  type Runner,
  type RunnerOptions,
  type RunOptions,
} from '../../src'
import { MemoryAudit } from '../../src/testing'
import { runChild } from '../support/children/run-child'
import { AGENT_ID, MACHINE_ID, REQUEST_ID } from '../support/events'
import { openAudit } from '../support/open-audit'
import { denied, exited, isRunning, requested, started, trailOf, warned } from '../support/runner'
import { skipLoudly } from '../support/skip'
import { useTempDir } from '../support/temp-dir'
import { turn, until } from '../support/waiting'

const PARTIES = { agentId: AGENT_ID, machineId: MACHINE_ID } as const
const SLEEP = ['sleep', '600']
const itAsRoot = process.getuid?.() === 0 ? it : skipLoudly('to run as another user takes root')

/** Starts a command; `spawned` resolves once it has a process. */
function begin(runner: Runner, options: Partial<RunOptions> = {}) {
  let onSpawn: (pid: number) => void = () => undefined
  const spawned = new Promise<number>((resolve) => {
    onSpawn = resolve
  })
  const result = runner.run({ argv: SLEEP, ...PARTIES, onSpawn, ...options })
  return { result, spawned }
}

describe('createRunner', () => {
  const dir = useTempDir()
  const log = () => dir.path('exec.log')
  const open = (options: RunnerOptions = {}) => {
    const { audit } = openAudit(log(), { failureMode: 'closed' })
    return { audit, runner: createRunner(audit, options) }
  }

  it('runs commands, counts those under way, and narrows the result by its outcome', async () => {
    const { runner } = open()
    const { result, spawned } = begin(runner, { argv: ['sh', '-c', 'echo hi'] })
    expect(runner.running).toBe(1)
    const ended = await result
    // The types know that an exited run has a process, and a denied one a reason.
    const pid: number = ended.outcome === 'exited' ? ended.pid : 0
    expect([pid, runner.running]).toEqual([await spawned, 0])
    expect(ended.stdout.toString()).toBe('hi\n')
  })

  it('denies what is above its caps, for one agent and in all', async () => {
    const { runner } = open({ maxConcurrent: 3, maxConcurrentPerAgent: 2 })
    const other = idOf('user:other')
    const first = [begin(runner), begin(runner)]
    const ofAgent = await runner.run({ argv: ['true'], ...PARTIES })
    const third = begin(runner, { agentId: Buffer.from(other, 'hex') })
    const inAll = await runner.run({ argv: ['true'], ...PARTIES, agentId: idOf('user:third') })
    expect(runner.running).toBe(3)
    for (const { outcome, denialReason } of [ofAgent, inAll]) {
      expect([outcome, denialReason]).toEqual(['denied', 'concurrency_limit_reached'])
    }
    expect([ofAgent.error, inAll.error]).toEqual([
      new RangeError('2 commands of this agent run; maxConcurrentPerAgent is 2'),
      new RangeError('3 commands run; maxConcurrent is 3'),
    ])
    await Promise.all([...first, third].map(({ spawned }) => spawned))
    await runner.close({ cancelAfterMs: 0 })
    expect(runner.running).toBe(0)
    const denials = trailOf(log()).filter(({ event }) => event === 'denial')
    expect(denials).toEqual([
      denied(['true'], 'concurrency_limit_reached'),
      denied(['true'], 'concurrency_limit_reached'),
    ])
  })

  it('gives a place back when its command has ended', async () => {
    const { runner } = open({ maxConcurrent: 1, maxConcurrentPerAgent: 1 })
    for (let i = 0; i < 3; i++) {
      const { outcome } = await runner.run({ argv: ['true'], ...PARTIES })
      expect(outcome).toBe('exited')
    }
    await expect(runner.run({ argv: ['true'], ...PARTIES, timeoutMs: -1 })).rejects.toThrow(
      'options.timeoutMs: expected',
    )
    expect(runner.running).toBe(0)
  })

  it("records the gateway's own refusals", async () => {
    const { runner } = open()
    const context = { principal: 'user:alice' }
    const result = await runner.deny({
      ...{ argv: ['rm'], ...PARTIES, requestId: REQUEST_ID, reason: 'trust_rejected', context },
    })
    expect(result).toMatchObject({
      ...{ outcome: 'denied', denialReason: 'trust_rejected', requestId: REQUEST_ID, pid: null },
      trail: [{ event: 'denial', outcome: 'durable' }],
    })
    expect(trailOf(log())).toEqual([{ ...denied(['rm'], 'trust_rejected'), context }])
    const wrong: unknown = { argv: ['rm'], ...PARTIES, reason: 'no' }
    await expect(Reflect.apply(runner.deny, runner, [wrong])).rejects.toThrow(
      'options.reason: expected one of exec_disabled, ',
    )
  })

  it('takes no command after close(), which waits for those under way', async () => {
    const { audit, runner } = open()
    const { result, spawned } = begin(runner, { argv: ['sh', '-c', 'read x'], stdin: '\n' })
    await spawned
    const closed = runner.close()
    await expect(runner.run({ argv: ['true'], ...PARTIES })).rejects.toMatchObject({
      ...{
        name: 'AuditError',
        code: 'AUDIT_CLOSED',
        message: 'this runner is closed; make a new one',
      },
    })
    await closed
    expect(await result).toMatchObject({ outcome: 'exited', code: 0, stoppedBy: null })
    await audit.close()
    expect(trailOf(log())).toEqual([
      requested(['sh', '-c', 'read x'], { stdin_bytes: 1 }),
      started,
      exited(),
    ])
  })

  it('cancels at close() what has not ended in time, also sooner than was said first', async () => {
    const { runner } = open()
    const { result, spawned } = begin(runner)
    await spawned
    const closed = [runner.close({ cancelAfterMs: 600_000 }), runner.close({ cancelAfterMs: 1 })]
    expect(await result).toMatchObject({ stoppedBy: 'cancelled', signal: 'SIGTERM' })
    await Promise.all(closed)
    expect(trailOf(log())).toEqual([
      requested(SLEEP),
      started,
      warned('cancelled'),
      exited({ code: null, signal: 15 }),
    ])
  })

  it('ends all commands by one signal, with one listener on it', async () => {
    const controller = new AbortController()
    let listeners = 0
    const { addEventListener } = controller.signal
    controller.signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners++
      addEventListener.apply(controller.signal, args)
    }
    const { runner } = open({ cancel: controller.signal, maxConcurrentPerAgent: 12 })
    const runs = Array.from({ length: 12 }, () => begin(runner))
    await Promise.all(runs.map(({ spawned }) => spawned))
    controller.abort('SIGINT')
    for (const { result } of runs) {
      expect(await result).toMatchObject({ stoppedBy: 'cancelled', signal: 'SIGINT' })
    }
    expect(listeners).toBe(1)
  })

  it('takes the result of loadExecPolicy', async () => {
    const file = dir.path('exec-acl.toml')
    const caps = 'max_concurrent_total = 1\nmax_concurrent_per_agent = 1\nmax_duration_secs = 7'
    const here = dir.path('')
    writeFileSync(
      file,
      `[exec]\nenabled = true\naudit_log_path = "${log()}"\ndefault_cwd = "${here}"\n${caps}\n`,
    )
    const loaded = loadExecPolicy(file)
    expect([loaded.maxConcurrent, loaded.maxConcurrentPerAgent]).toEqual([1, 1])
    const { runner } = open(loaded)
    const { result, spawned } = begin(runner)
    expect((await runner.run({ argv: ['true'], ...PARTIES })).denialReason).toBe(
      'concurrency_limit_reached',
    )
    await spawned
    await runner.close({ cancelAfterMs: 0 })
    await result
    const request = trailOf(log()).find(({ event }) => event === 'request')
    expect(request).toEqual(requested(SLEEP, { timeout_ms: 7_000, context: { cwd: here } }))
  })

  it.each<[object, string]>([
    [{ maxConcurent: 1 }, 'options.maxConcurent: unknown option; did you mean maxConcurrent?'],
    [{ signal: 1 }, 'options.signal: unknown option; did you mean cancel?'],
    [{ maxConcurrent: 0 }, 'options.maxConcurrent: expected an integer from 1 to 4294967295'],
    [{ cancel: {} }, 'options.cancel: expected an AbortSignal, got an object'],
    [{ limits: { graceMs: -1 } }, 'options.limits.graceMs: expected an integer from 0'],
  ])('refuses %j', (options, message) => {
    expect(() => createRunner(new MemoryAudit(), options)).toThrow(message)
  })
})

describe("a run's context", () => {
  const dir = useTempDir()

  it('says where it runs, behind what was given', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const runner = createRunner(audit, { defaultCwd: '/' })
    const context = { principal: 'user:alice' }
    await runner.run({ argv: ['true'], ...PARTIES, context })
    await runner.run({ argv: ['true'], ...PARTIES, cwd: '/tmp', context: { cwd: '/tmp' } })
    const requests = trailOf(dir.path('exec.log')).filter(({ event }) => event === 'request')
    expect(requests.map(({ context }) => JSON.stringify(context))).toEqual([
      '{"principal":"user:alice","cwd":"/"}',
      '{"cwd":"/tmp"}',
    ])
  })

  itAsRoot('says whom it runs as', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const runner = createRunner(audit)
    const ids = ['sh', '-c', 'id -u; id -g']
    const both = await runner.run({ argv: ids, ...PARTIES, uid: 65_534, gid: 65_533 })
    const one = await runner.run({ argv: ids, ...PARTIES, uid: 65_534 })
    expect([both.stdout.toString(), one.stdout.toString()]).toEqual([
      '65534\n65533\n',
      '65534\n0\n',
    ])
    const requests = trailOf(dir.path('exec.log')).filter(({ event }) => event === 'request')
    expect(requests.map(({ context }) => context)).toEqual([
      { user: '65534:65533' },
      { user: '65534:0' },
    ])
  })

  it.each<[object, string]>([
    [
      { cwd: '/', context: { cwd: '/tmp' } },
      'options.context.cwd: expected "/", as the options say, or none',
    ],
    [
      { uid: 1, gid: 2, context: { user: '1:1' } },
      'options.context.user: expected "1:2", as the options say, or none',
    ],
    [{ uid: -1 }, 'options.uid: expected an integer from 0 to 2^32 - 1, got the number -1'],
    [{ context: { 'a b': 'x' } }, 'options.context["a b"]: expected a key of 1 to 64 characters'],
    [{ context: { a: 1 } }, 'options.context.a: expected a string, got the number 1'],
    [{ principal: 'x' }, 'options.principal: unknown option; did you mean context?'],
  ])('that is %j is refused before anything runs', async (options, message) => {
    const audit = new MemoryAudit()
    const run = createRunner(audit).run({ argv: ['true'], ...PARTIES, ...options })
    await expect(run).rejects.toThrow(message)
    expect(audit.lines).toEqual([])
  })
})

describe('a command that is out of time', () => {
  const dir = useTempDir()

  it('has a duration that is not below its limit, and a signal', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const limits = { warnDurationMs: 1 }
    const result = await createRunner(audit).run({
      ...{ argv: SLEEP, ...PARTIES, timeoutMs: 50, limits },
    })
    expect(result).toMatchObject({ stoppedBy: 'timeout', signal: 'SIGTERM' })
    expect(result.durationMs).toBeGreaterThanOrEqual(50)
    const exit = readFileSync(dir.path('exec.log'), 'utf8').trim().split('\n').pop() ?? ''
    expect(JSON.parse(exit).duration_ms).toBe(result.durationMs)
  })
})

describe('close() of the audit', () => {
  const dir = useTempDir()

  it('waits for commands under way and takes their events, and no others', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const cancel = new AbortController()
    const runner = createRunner(audit, { cancel: cancel.signal })
    const { result, spawned } = begin(runner)
    await spawned
    let isClosed = false
    const closed = audit.close().then(() => {
      isClosed = true
    })
    expect(audit.stats().state).toBe('closing')
    expect(await audit.started({ requestId: REQUEST_ID, pid: 1 })).toBe('failed')
    const late = await runner.run({ argv: ['true'], ...PARTIES, agentId: idOf('late') })
    expect(late.trail.map(({ outcome }) => outcome)).toContain('failed')
    await turn()
    expect(isClosed).toBe(false)
    cancel.abort()
    expect((await result).trail.map(({ event, outcome }) => [event, outcome])).toEqual([
      ['request', 'durable'],
      ['started', 'durable'],
      ['warning', 'durable'],
      ['exit', 'durable'],
    ])
    await closed
    expect(audit.stats().state).toBe('closed')
    expect(trailOf(dir.path('exec.log'))).toEqual([
      requested(SLEEP),
      started,
      warned('cancelled'),
      exited({ code: null, signal: 15 }),
    ])
  })
})

describe('the exit of the process', () => {
  const dir = useTempDir()
  const log = () => dir.path('exec.log')
  const script = (argv: readonly string[], limits: object = {}) => `
const agentId = '00'.repeat(32)
createRunner(open()).run({
  argv: ${JSON.stringify(argv)}, agentId, machineId: agentId, limits: ${JSON.stringify(limits)},
  onStdout: (chunk) => { require('fs').writeSync(1, chunk); process.exit() },
})`

  it('records what it kills: cancelled, and the end as the kernel has it', async () => {
    const argv = ['sh', '-c', 'echo $$; exec sleep 600']
    const { code, stdout } = await runChild(script(argv), [log()])
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^\d+\n$/)])
    await until('it lives on', () => !isRunning(Number(stdout)))
    expect(trailOf(log())).toEqual([
      requested(argv),
      started,
      warned('cancelled'),
      exited({ code: null, signal: 9, stdout_bytes: stdout.length }),
    ])
  })
})
