import { existsSync, readFileSync } from 'node:fs'
import { runChild } from '../support/children/run-child'
import { exited, isRunning, node, openRunner, requested, started, warned } from '../support/runner'
import { useTempDir } from '../support/temp-dir'
import { stall, until } from '../support/waiting'

const dir = useTempDir()
const log = () => dir.path('exec.log')

/** Says "ready", and then runs until it is ended. */
const READY = ['sh', '-c', 'echo ready; exec sleep 600']
/** The same, and SIGTERM does not end it. */
const STUBBORN = ['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 600; done']
/** Longer than any test: what waits for it would fail. */
const NEVER_MS = 500_000

/** Runs a command, and calls `then` once it has said something. */
function runUntilReady(
  argv: readonly string[],
  then: () => void,
  options: Parameters<ReturnType<typeof openRunner>['run']>[1] = {},
) {
  const opened = openRunner(log())
  const result = opened.run(argv, { ...options, onStdout: then })
  return { ...opened, result }
}

const killed = (signal: number, over: object = {}) =>
  exited({ code: null, signal, stdout_bytes: 6, ...over })

describe('a command that is cancelled', () => {
  it.each([
    ['cancel', 'cancelled'],
    ['lease', 'lease_expired'],
    ['peer', 'peer_disconnected'],
  ] as const)('by %s gets SIGTERM, and %s is recorded', async (name, kind) => {
    const controller = new AbortController()
    const { result, trail } = runUntilReady(READY, () => controller.abort(), {
      [name]: controller.signal,
    })
    const { outcome, code, signal, stoppedBy, warnings } = await result
    expect([outcome, code, signal, stoppedBy]).toEqual(['exited', null, 'SIGTERM', kind])
    expect(warnings).toEqual([kind])
    expect(trail()).toEqual([requested(READY), started, warned(kind), killed(15)])
  })

  it('gets the signal that the reason names', async () => {
    const controller = new AbortController()
    const { result, trail } = runUntilReady(READY, () => controller.abort('SIGINT'), {
      cancel: controller.signal,
    })
    expect((await result).signal).toBe('SIGINT')
    expect(trail()).toEqual([requested(READY), started, warned('cancelled'), killed(2)])
  })

  it('by several is recorded by the first', async () => {
    const [lease, cancel] = [new AbortController(), new AbortController()]
    const abort = () => {
      lease.abort()
      cancel.abort('SIGKILL')
      lease.abort()
    }
    const { result, trail } = runUntilReady(READY, abort, {
      lease: lease.signal,
      cancel: cancel.signal,
    })
    expect((await result).stoppedBy).toBe('lease_expired')
    expect(trail()).toEqual([requested(READY), started, warned('lease_expired'), killed(15)])
  })

  it('and does not mind SIGTERM gets SIGKILL after the grace', async () => {
    const controller = new AbortController()
    const { result, trail } = runUntilReady(STUBBORN, () => controller.abort(), {
      cancel: controller.signal,
      limits: { graceMs: 200 },
    })
    const { signal, durationMs } = await result
    expect(signal).toBe('SIGKILL')
    expect(durationMs).toBeGreaterThanOrEqual(199)
    expect(trail()).toEqual([requested(STUBBORN), started, warned('cancelled'), killed(9)])
  })

  it('may end in its own way within the grace', async () => {
    const controller = new AbortController()
    const script = 'process.on("SIGTERM", () => process.exit(42)); console.log("1")'
    const argv = node(`${script}; setInterval(() => {}, 1e6)`)
    const { result, trail } = runUntilReady(argv, () => controller.abort(), {
      cancel: controller.signal,
      limits: { graceMs: NEVER_MS },
    })
    const { code, stoppedBy } = await result
    expect([code, stoppedBy]).toEqual([42, 'cancelled'])
    expect(trail().at(-1)).toEqual(exited({ code: 42, stdout_bytes: 2 }))
  })

  it('ends all processes that it has started, even those that ignore SIGTERM', async () => {
    const controller = new AbortController()
    const file = dir.path('pids')
    const child = `sh -c 'trap "" TERM; echo $$ >> ${file}; while :; do sleep 600; done'`
    const argv = ['sh', '-c', `${child} >/dev/null 2>&1 & ${child} & sleep 600`]
    const pids = () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [])
    const { run, trail } = openRunner(log())
    const result = run(argv, { cancel: controller.signal, limits: { graceMs: 1_500 } })
    await until('they do not start', () => pids().length === 2)
    controller.abort()
    expect(await result).toMatchObject({ signal: 'SIGTERM', stoppedBy: 'cancelled' })
    await until('they are left', () => !pids().some((pid) => isRunning(Number(pid))))
    expect(trail().at(-1)).toEqual(exited({ code: null, signal: 15 }))
  })

  it('before the call is not spawned, and its trail has an end', async () => {
    const { run, trail } = openRunner(log())
    const argv = ['touch', dir.path('touched')]
    const result = await run(argv, { peer: AbortSignal.abort() })
    expect(result).toMatchObject({
      outcome: 'cancelled',
      stoppedBy: 'peer_disconnected',
      pid: null,
      code: null,
      signal: null,
    })
    expect(existsSync(dir.path('touched'))).toBe(false)
    const end = exited({ code: null })
    expect(trail()).toEqual([requested(argv), warned('peer_disconnected'), end])
  })

  it('while its request is being synced is not spawned either', async () => {
    const { run, trail } = openRunner(log())
    const controller = new AbortController()
    const argv = ['touch', dir.path('touched')]
    const result = run(argv, { cancel: controller.signal })
    controller.abort()
    expect(await result).toMatchObject({ outcome: 'cancelled', stoppedBy: 'cancelled' })
    expect(existsSync(dir.path('touched'))).toBe(false)
    expect(trail()).toEqual([requested(argv), warned('cancelled'), exited({ code: null })])
  })

  it('after its end is not cancelled', async () => {
    const { run, trail } = openRunner(log())
    const controller = new AbortController()
    expect((await run(['true'], { cancel: controller.signal })).stoppedBy).toBeNull()
    controller.abort()
    expect(trail()).toEqual([requested(['true']), started, exited()])
  })
})

describe('a command that runs for long', () => {
  it('is warned about once, and ended when its time is out', async () => {
    const { run, trail } = openRunner(log())
    const argv = ['sleep', '600']
    const result = await run(argv, { timeoutMs: 300, limits: { warnDurationMs: 100 } })
    expect([result.stoppedBy, result.signal]).toEqual(['timeout', 'SIGTERM'])
    expect(result.durationMs).toBeGreaterThanOrEqual(299)
    const warning = warned('duration_approaching_cap')
    const end = exited({ code: null, signal: 15 })
    expect(trail()).toEqual([requested(argv, { timeout_ms: 300 }), started, warning, end])
  })

  it('and ends by itself keeps its warning', async () => {
    const { run, trail } = openRunner(log())
    const argv = ['sleep', '0.4']
    const result = await run(argv, { limits: { warnDurationMs: 1 } })
    expect([result.stoppedBy, result.code]).toEqual([null, 0])
    expect(trail()).toEqual([
      requested(argv),
      started,
      warned('duration_approaching_cap'),
      exited(),
    ])
  })

  it('is warned about with the SIGTERM if no warning came before', async () => {
    const { run, trail } = openRunner(log())
    const result = await run(['sleep', '600'], { timeoutMs: 100 })
    expect([result.stoppedBy, result.warnings]).toEqual(['timeout', ['duration_approaching_cap']])
    expect(trail().length).toBe(4)
  })

  it('only as it seems to a process that was held up, is not out of time', async () => {
    const { run, trail } = openRunner(log())
    const onSpawn = () => void setTimeout(() => stall(1_500), 0)
    const limits = { warnDurationMs: 900 }
    const result = await run(['sleep', '0.2'], { timeoutMs: 1_000, limits, onSpawn })
    expect([result.code, result.stoppedBy, result.warnings]).toEqual([0, null, []])
    expect(trail().length).toBe(3)
  })

  it('with a limit of 0 has one second', async () => {
    const { run, trail } = openRunner(log())
    const { stoppedBy, durationMs } = await run(['sleep', '600'], { timeoutMs: 0 })
    expect(stoppedBy).toBe('timeout')
    expect(durationMs).toBeGreaterThanOrEqual(999)
    expect(trail()[0]).toEqual(requested(['sleep', '600'], { timeout_ms: 0 }))
  })
})

describe('processes that a command leaves behind', () => {
  it('is let run, and its hold on the output is not waited for longer than the linger', async () => {
    const file = dir.path('pid')
    const argv = ['sh', '-c', `sleep 600 & echo $! > ${file}; echo done`]
    const { run, trail } = openRunner(log())
    const { code, stdout } = await run(argv, { limits: { lingerMs: 100 } })
    expect([code, stdout.toString()]).toEqual([0, 'done\n'])
    expect(trail()).toEqual([requested(argv), started, exited({ stdout_bytes: 5 })])
    const pid = Number(readFileSync(file, 'utf8'))
    expect(isRunning(pid)).toBe(true)
    process.kill(pid, 'SIGKILL')
  })

  it('is heard for the linger', async () => {
    const { run } = openRunner(log())
    const argv = ['sh', '-c', '(for i in 1 2 3 4 5; do sleep 0.1; echo $i; done) & echo 0']
    const { stdout } = await run(argv, { limits: { lingerMs: 10_000 } })
    expect(stdout.toString()).toBe('0\n1\n2\n3\n4\n5\n')
  })

  it.each([
    ['speaks now and then', 'trap "" PIPE; while :; do echo tick; sleep 0.05; done'],
    ['never stops speaking', 'trap "" PIPE; while :; do echo y; done'],
    ['is silent', 'exec sleep 600'],
  ])('and that %s is neither waited for, nor ended, nor warned about', async (_, script) => {
    const file = dir.path('pid')
    const argv = ['sh', '-c', `(${script}) & echo $! > ${file}`]
    const { run, trail } = openRunner(log())
    const result = await run(argv, {
      // Over before the linger is.
      timeoutMs: 1_000,
      limits: { lingerMs: 2_000, warnDurationMs: 700, graceMs: 1, maxStdoutBytes: 1_000 },
    })
    expect(isRunning(Number(readFileSync(file, 'utf8')))).toBe(true)
    process.kill(-(result.pid ?? 0), 'SIGKILL')
    expect(result).toMatchObject({ code: 0, signal: null, stoppedBy: null })
    const kinds = trail().map(({ kind, event }) => kind ?? event)
    expect(kinds.filter((kind) => !String(kind).startsWith('stdout'))).toEqual([
      'request',
      'started',
      'exit',
    ])
  })

  it('and that never stops speaking is ended by a cancel', async () => {
    const file = dir.path('pids')
    const argv = ['sh', '-c', `yes & echo $$ $! > ${file}`]
    const pids = () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ') : [])
    const controller = new AbortController()
    const { run, trail } = openRunner(log())
    const limits = { graceMs: 1_000, lingerMs: NEVER_MS }
    const result = run(argv, { cancel: controller.signal, limits })
    await until('it does not end', () => pids().length === 2 && !isRunning(Number(pids()[0])))
    controller.abort()
    expect(await result).toMatchObject({ code: 0, signal: null, stoppedBy: 'cancelled' })
    expect(pids().some((pid) => isRunning(Number(pid)))).toBe(false)
    expect(trail().at(-1)).toMatchObject({ event: 'exit', code: 0 })
  })

  it('in a session of its own is not waited for after the SIGKILL', async () => {
    const file = dir.path('pid')
    const escapee = `setsid sh -c 'echo $$ > ${file}; exec yes' & wait`
    const { run } = openRunner(log())
    const limits = { graceMs: 50, lingerMs: 50, maxStdoutBytes: 10 }
    const result = run(['sh', '-c', escapee], { timeoutMs: 1_000, limits })
    expect(await result).toMatchObject({ outcome: 'exited', stoppedBy: 'timeout' })
  })

  it('does not outlive a process that exits', async () => {
    const script = `
const { runAudited } = require(${JSON.stringify(require.resolve('../../dist'))})
const agentId = '00'.repeat(32)
runAudited(open(), {
  argv: ['sh', '-c', 'sleep 600 & echo $$ $!; wait'], agentId, machineId: agentId,
  onStdout: (chunk) => { require('fs').writeSync(1, chunk); process.exit() },
})`
    const { code, stdout } = await runChild(script, [log()])
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^\d+ \d+\n$/)])
    const pids = stdout.trim().split(' ').map(Number)
    await until('it lives on', () => !pids.some(isRunning))
  })
})
