import { Readable } from 'node:stream'
import {
  createRunner,
  type FakeProcess,
  type RunOptions,
  runAudited,
  type Spawner,
  type SpawnerInput,
} from '../../src'
import { MemoryAudit } from '../../src/testing'
import { ASKED } from '../support/runner'

/** Runs a command that the spawner plays. */
async function play(spawner: Spawner, options: Partial<RunOptions> = {}) {
  const audit = new MemoryAudit({ failureMode: 'closed' })
  const run = await runAudited(audit, { ...ASKED, argv: ['ls', '-l'], spawner, ...options })
  const trail = audit.events.map((event) => ('kind' in event ? event.kind : event.event))
  return { audit, run, trail }
}

describe('a spawner', () => {
  it('is given the command, and stands in for its output and its end', async () => {
    const asked: SpawnerInput[] = []
    const spawner = (command: SpawnerInput): FakeProcess => {
      asked.push(command)
      return { stdout: 'a\n', stderr: Buffer.from('b'), code: 3 }
    }
    const env = { LANG: 'C' }
    const { audit, run, trail } = await play(spawner, { env, cwd: '/no/such', stdin: 'in' })
    expect(asked).toEqual([{ argv: ['ls', '-l'], env, cwd: '/no/such', stdin: Buffer.from('in') }])
    expect(run).toMatchObject({
      ...{ outcome: 'exited', pid: 4242, code: 3, signal: null, stoppedBy: null },
      ...{ stdoutBytes: 2, stderrBytes: 1, truncated: false, warnings: [] },
    })
    expect([String(run.stdout), String(run.stderr)]).toEqual(['a\n', 'b'])
    expect(trail).toEqual(['request', 'started', 'exit'])
    expect(audit.events[1]).toMatchObject({ pid: 4242 })
  })

  it('leaves the caps to the run, also for a stream', async () => {
    const stdout = () => Readable.from([Buffer.alloc(60), Buffer.alloc(60)])
    const limits = { maxStdoutBytes: 100, warnStdoutBytes: 50 }
    const { run, trail } = await play(() => ({ stdout: stdout() }), { limits })
    expect(run).toMatchObject({ stdoutBytes: 120, truncated: true })
    expect(run.stdout.length).toBe(100)
    const warnings = ['stdout_approaching_cap', 'stdout_cap_hit']
    expect(trail).toEqual(['request', 'started', ...warnings, 'exit'])
  })

  it('runs until it is cancelled, or its time is out, and ends by the signal that it is sent', async () => {
    const until = new Promise<void>(() => undefined)
    const cancel = new AbortController()
    const onSpawn = () => cancel.abort('SIGINT')
    const cancelled = await play(() => ({ until }), { cancel: cancel.signal, onSpawn })
    expect(cancelled.run).toMatchObject({ stoppedBy: 'cancelled', code: null, signal: 'SIGINT' })
    expect(cancelled.trail).toEqual(['request', 'started', 'cancelled', 'exit'])
    const late = await play(() => ({ until }), { timeoutMs: 5 })
    expect(late.run).toMatchObject({ stoppedBy: 'timeout', code: null, signal: 'SIGTERM' })
  })

  it('ends by a signal of its own', async () => {
    const { run } = await play(async () => ({ signal: 'SIGSEGV', pid: 7 }))
    expect(run).toMatchObject({ outcome: 'exited', pid: 7, code: null, signal: 'SIGSEGV' })
  })

  it('makes what it throws, and a mistake in what it returns, a failed spawn', async () => {
    const failures: [Spawner, string][] = [
      [() => Promise.reject(new Error('no such program')), 'no such program'],
      [
        () => ({ code: 256 }),
        'spawner().code: expected an integer from 0 to 255, got the number 256',
      ],
      [
        () => ({ stdout: 5 }) as object,
        'spawner().stdout: expected a string, a Uint8Array or a Readable, got the number 5',
      ],
      [
        () => ({ exitCode: 5 }) as object,
        'spawner().exitCode: unknown option; did you mean code? Known are pid, stdout, stderr, code, signal, until',
      ],
    ]
    for (const [spawner, message] of failures) {
      const { run, trail } = await play(spawner)
      expect(run).toMatchObject({ denialReason: 'spawn_failed', error: { message } })
      expect(trail).toEqual(['request', 'denial'])
    }
  })

  it('of a runner serves its commands, but for those that have one of their own', async () => {
    const audit = new MemoryAudit({ failureMode: 'closed' })
    const runner = createRunner(audit, { spawner: () => ({ stdout: 'runner' }) })
    const own = { spawner: () => ({ stdout: 'own' }) }
    const runs = [{}, own].map((options) => runner.run({ ...ASKED, argv: ['ls'], ...options }))
    expect((await Promise.all(runs)).map(({ stdout }) => String(stdout))).toEqual(['runner', 'own'])
    expect(() => createRunner(audit, { spawner: 5 } as object)).toThrow(
      'options.spawner: expected a function, got the number 5',
    )
  })
})
