import { type RunOptions, runAudited } from '../../src'
import { MemoryAudit } from '../../src/testing'
import { runChild } from '../support/children/run-child'
import { ASKED } from '../support/runner'
import { useTempDir } from '../support/temp-dir'
import { until } from '../support/waiting'

const dir = useTempDir()

const overflow = (): never => overflow()

/** Callbacks that fail, in each way that there is. */
const FAILURES: Readonly<Record<string, () => unknown>> = {
  throws: () => {
    throw new Error('thrown')
  },
  rejects: async () => {
    throw new Error('rejected')
  },
  'throws nothing': () => {
    throw undefined
  },
  'overflows the stack': overflow,
  'never settles': () => new Promise(() => undefined),
  'returns what throws when it is awaited': () =>
    Object.defineProperty({}, 'then', {
      get: () => {
        throw new Error('hostile')
      },
    }),
}

const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation()
const warnings = () => emitWarning.mock.calls.map(([message]) => message)

beforeEach(() => emitWarning.mockClear())

const run = (audit: MemoryAudit, options: object) =>
  runAudited(audit, { ...ASKED, argv: ['sh', '-c', 'echo 1; echo 22 >&2; exit 3'], ...options })
const eventsOf = (audit: MemoryAudit) => audit.events.map(({ event }) => event)

describe.each(Object.entries(FAILURES))('a callback that %s', (name, fail) => {
  it.each(['onSpawn', 'onStdout', 'onStderr'] as const)(
    'as %s costs its own call',
    async (callback) => {
      const audit = new MemoryAudit({ failureMode: 'closed' })
      // Only one that never settles needs the limit.
      const limits = { lingerMs: 100 }
      const result = await run(audit, { [callback]: fail, timeoutMs: 1_500, limits })
      expect(result).toMatchObject({ outcome: 'exited', code: 3, stoppedBy: null })
      expect([result.stdoutBytes, result.stderrBytes]).toEqual([2, 3])
      expect(eventsOf(audit)).toEqual(['request', 'started', 'exit'])
      expect(result.trail.map(({ outcome }) => outcome)).toEqual(['durable', 'durable', 'durable'])
      const isWaitedFor = callback !== 'onSpawn' || name !== 'never settles'
      expect('error' in result).toBe(isWaitedFor)
    },
  )
})

describe('a callback that rejects', () => {
  it('is a warning as onSpawn, even after the run', async () => {
    const audit = new MemoryAudit()
    let reject = (_: Error) => {}
    const late = new Promise<void>((_, fail) => {
      reject = fail
    })
    await run(audit, { onSpawn: () => late })
    reject(new Error('too late'))
    await until('there is no warning', () => warnings().length > 0)
    expect(emitWarning.mock.calls).toEqual([
      ['exec audit: onSpawn failed: too late', { type: 'ExecAuditWarning' }],
    ])
  })

  it('does not end the process, and leaves nothing unhandled', async () => {
    const script = `
const { runAudited } = require(${JSON.stringify(require.resolve('../../dist'))})
const agentId = '00'.repeat(32)
const overflow = () => overflow()
const failures = [
  () => { throw new Error() },
  async () => { throw new Error() },
  overflow,
  () => new Promise(() => undefined),
  () => ({ get then() { throw new Error() } }),
]
const stop = new AbortController()
const audit = open()
const run = (callback, fail) => runAudited(audit, {
  argv: ['sh', '-c', 'echo 1; echo 2 >&2'], agentId, machineId: agentId, cancel: stop.signal,
  timeoutMs: 1_500, limits: { lingerMs: 100 }, [callback]: fail,
})
const heard = []
process.on('warning', ({ name }) => heard.push(name))
process.on('unhandledRejection', () => heard.push('unhandled'))
const runs = ['onSpawn', 'onStdout', 'onStderr'].flatMap((name) => failures.map((fail) => run(name, fail)))
Promise.all(runs).then(async (ends) => {
  await audit.close()
  await turn()
  console.log(ends.map(({ code }) => code).join(), [...new Set(heard)].join())
})`
    const { code, stdout } = await runChild(script, [dir.path('log')])
    expect([code, stdout]).toEqual([0, `${Array(15).fill(0).join()} ExecAuditWarning\n`])
  })

  it('does not end the process if that forbids warnings', async () => {
    const script = `
const { runAudited } = require(${JSON.stringify(require.resolve('../../dist'))})
const agentId = '00'.repeat(32)
process.emitWarning = () => { throw new Error('strict') }
runAudited(open(), {
  argv: ['true'], agentId, machineId: agentId, onSpawn: async () => { throw new Error('mine') },
}).then(({ code, error }) => console.log(code, error.message))`
    const { code, stdout, stderr } = await runChild(script, [dir.path('log')])
    expect([code, stdout, stderr]).toEqual([0, '0 mine\n', ''])
  })
})

/** A signal of another make, with one thing wrong. */
function oddSignal(over: object): AbortSignal {
  const target = new AbortController().signal
  const odd = {
    aborted: false,
    addEventListener: target.addEventListener.bind(target),
    removeEventListener: target.removeEventListener.bind(target),
  }
  return Object.defineProperties(odd, Object.getOwnPropertyDescriptors(over)) as never
}

const throwing = () => {
  throw new Error('odd')
}

describe('a signal of another make', () => {
  it('that takes no listener runs nothing', async () => {
    const audit = new MemoryAudit()
    const cancel = oddSignal({ addEventListener: throwing })
    await expect(run(audit, { cancel })).rejects.toThrow('odd')
    expect(eventsOf(audit)).toEqual([])
  })

  it.each([
    ['does not let its listener go', { removeEventListener: throwing }],
    ['has no way to let it go', { removeEventListener: undefined }],
  ])('that %s costs nothing', async (_, over) => {
    const audit = new MemoryAudit()
    expect(await run(audit, { cancel: oddSignal(over) })).toMatchObject({ code: 3 })
    expect(eventsOf(audit)).toEqual(['request', 'started', 'exit'])
  })

  it('whose reason cannot be read is a SIGTERM', async () => {
    const listeners: (() => void)[] = []
    const cancel = oddSignal({
      addEventListener: (_: string, listener: () => void) => listeners.push(listener),
      get reason() {
        return throwing()
      },
    })
    const onSpawn = () => {
      for (const listener of listeners) listener()
    }
    const options: Partial<RunOptions> = { argv: ['sleep', '600'], cancel, onSpawn }
    const result = await run(new MemoryAudit(), options)
    expect(result).toMatchObject({ signal: 'SIGTERM', stoppedBy: 'cancelled' })
  })
})

describe('one signal for many runs', () => {
  it('has one listener, for as long as one of them runs', async () => {
    const stop = new AbortController()
    const { signal } = stop
    const [add, remove] = [
      jest.spyOn(signal, 'addEventListener'),
      jest.spyOn(signal, 'removeEventListener'),
    ]
    const audit = new MemoryAudit()
    const all = () =>
      Promise.all(Array.from({ length: 30 }, () => run(audit, { cancel: signal, peer: signal })))
    await all()
    await all()
    expect([add.mock.calls.length, remove.mock.calls.length]).toEqual([2, 2])
    expect(warnings()).toEqual([])
  })

  it('ends all of them', async () => {
    const stop = new AbortController()
    const audit = new MemoryAudit()
    let spawned = 0
    const onSpawn = () => {
      spawned++
      if (spawned === 15) stop.abort()
    }
    const argv = ['sleep', '600']
    const runs = Array.from({ length: 15 }, () =>
      run(audit, { argv, cancel: stop.signal, onSpawn }),
    )
    for (const result of await Promise.all(runs)) expect(result.stoppedBy).toBe('cancelled')
    expect(warnings()).toEqual([])
  })
})
