import { type AsyncHook, createHook, type HookCallbacks } from 'node:async_hooks'
import { readFileSync } from 'node:fs'
import { ExecAudit, type ExecAuditOptions } from '../../../src'
import { runChild } from '../../support/children/run-child'
import { requestEvent, startedEvent, startedLines } from '../../support/events'
import { openAudit } from '../../support/open-audit'
import { useTempDir } from '../../support/temp-dir'
import { turn, until } from '../../support/waiting'

/** Every call, with its result outside of other events. */
const CALLS: Readonly<Record<string, [(audit: ExecAudit) => unknown, unknown]>> = {
  request: [(audit) => audit.request(requestEvent()), 'durable'],
  started: [(audit) => audit.started(startedEvent({ pid: 1 })), 'durable'],
  drainSync: [(audit) => audit.drainSync(), true],
  drain: [(audit) => audit.drain(), undefined],
  reopen: [(audit) => audit.reopen(), 'durable'],
  close: [(audit) => audit.close(), undefined],
  stats: [(audit) => audit.stats().events.failed >= 0, true],
}

/** Runs the embedder's code once. */
type Once = () => void
type Trigger = (audit: ExecAudit) => Promise<unknown>

const recordBad: Trigger = (audit) => audit.started(startedEvent({ pid: -1 }))
const recordGood: Trigger = (audit) => audit.started(startedEvent({ pid: 2 }))

/** The places at which the embedder's code runs inside the audit, and the event that makes it run. */
const PLACES: Readonly<Record<string, (once: Once) => [ExecAuditOptions, Trigger]>> = {
  'the logger': (once) => [{ logger: { warn: once } }, recordBad],
  redact: (once) => [
    {
      redact: (argv) => {
        once()
        return argv
      },
    },
    (audit) => audit.request(requestEvent()),
  ],
  'a getter': (once) => [
    {},
    (audit) => {
      const event = {
        ...startedEvent(),
        get pid() {
          once()
          return 2
        },
      }
      return audit.started(event)
    },
  ],
  'the clock': (once) => [
    {
      clock: () => {
        once()
        return 0
      },
    },
    recordGood,
  ],
  'the clock of a reopen': (once) => [
    {
      clock: () => {
        once()
        return 0
      },
    },
    (audit) => audit.reopen(),
  ],
  'an async hook': (once) => [
    {},
    (audit) => {
      let outcome: Promise<unknown> | undefined
      withHook({ init: (_, type) => type === 'PROMISE' && once() }, () => {
        outcome = recordGood(audit)
      })
      return Promise.resolve(outcome)
    },
  ],
  'a continuation': (once) => [
    {},
    (audit) =>
      recordGood(audit).then((outcome) => {
        once()
        return outcome
      }),
  ],
}

/** At these places an event holds the encoder: another one is refused, and close() comes before it. */
const WHILE_TAKEN = ['redact', 'a getter', 'the clock', 'the clock of a reopen', 'an async hook']
/** The calls that need the encoder. */
const ENCODED = ['request', 'started', 'reopen']

const REENTRY =
  'event: recorded from within a getter, redact, the clock or an async hook of another event; record it once the call for that one has returned'

let hook: AsyncHook | undefined

/** Has the callbacks called while `action` runs. */
function withHook(callbacks: HookCallbacks, action: () => void): void {
  hook = createHook(callbacks).enable()
  action()
  hook.disable()
}

afterEach(() => hook?.disable())

describe('a call from within the audit', () => {
  const dir = useTempDir()
  const log = () => readFileSync(dir.path('exec.log'), 'utf8')

  const cases = Object.keys(PLACES).flatMap((place) =>
    Object.keys(CALLS).map((call): [string, string] => [place, call]),
  )

  it.each(cases)(
    'from %s: %s() does what it does elsewhere, or is refused',
    async (place, call) => {
      const [make, elsewhere] = CALLS[call] ?? []
      const isTaken = WHILE_TAKEN.includes(place) && ENCODED.includes(call)
      const expected = isTaken ? 'failed' : elsewhere
      let inner: unknown = 'not called'
      let isCalled = false
      const [options, trigger] = PLACES[place]?.(() => {
        if (isCalled) return
        isCalled = true
        inner = make?.(audit)
      }) ?? [{}, recordGood]
      const { audit } = openAudit(dir.path('exec.log'), options)
      const outer = await trigger(audit)
      expect(await inner).toBe(expected)
      const isRefused = place === 'the logger' || (call === 'close' && WHILE_TAKEN.includes(place))
      expect(outer).toBe(isRefused ? 'failed' : 'durable')

      expect(await recordGood(audit)).toBe(call === 'close' ? 'failed' : 'durable')
      expect(audit.stats()).toMatchObject({ events: { pending: 0 }, file: { tornTails: 0 } })
      const { accepted } = audit.stats().events
      const reopens = [
        call === 'reopen' && !isTaken,
        place === 'the clock of a reopen' && !isRefused,
      ]
      const lines = call === 'close' && isRefused ? [] : log().trimEnd().split('\n')
      expect(lines.map((line) => typeof JSON.parse(line).event)).toEqual(
        new Array(accepted - reopens.filter(Boolean).length).fill('string'),
      )
    },
  )

  it.each(Object.keys(CALLS))('from recordAuditFailure: %s()', async (call) => {
    const [make, expected] = CALLS[call] ?? []
    let inner: unknown = 'not called'
    const recorder = {
      recordAuditFailure: () => {
        if (inner === 'not called') inner = make?.(audit)
      },
    }
    const policy = { enabled: true, auditLogPath: dir.path('exec.log') } as const
    const audit = new ExecAudit(policy, recorder, { logger: { warn: () => undefined } })
    expect(await recordBad(audit)).toBe('failed')
    expect(await inner).toBe(expected)
    await audit.close()
  })

  it('a logger that records a bad event per warning is called no more often than the limit', async () => {
    let warnings = 0
    const logger = {
      warn: () => {
        warnings++
        void recordBad(audit)
      },
    }
    const { audit, diagnostics } = openAudit(dir.path('exec.log'), { logger })
    const from = performance.now()
    expect(await recordBad(audit)).toBe('failed')
    // One more for each second that the machine has stood still meanwhile.
    const seconds = Math.floor((performance.now() - from) / 1_000)
    expect(warnings).toBeGreaterThanOrEqual(10)
    expect(warnings).toBeLessThanOrEqual(10 + seconds)
    expect(diagnostics.auditFailures).toBe(warnings + 1)
    expect(await recordGood(audit)).toBe('durable')
  })

  it('diagnostics that record a bad event per failure leave turns to the event loop', async () => {
    let recorded = 0
    let isOn = true
    const recorder = {
      recordAuditFailure: () => {
        recorded++
        if (isOn) void recordBad(audit)
      },
    }
    const policy = { enabled: true, auditLogPath: dir.path('exec.log') } as const
    const audit = new ExecAudit(policy, recorder, { logger: { warn: () => undefined } })
    expect(await recordBad(audit)).toBe('failed')
    expect(await recordGood(audit)).toBe('durable')
    isOn = false
    await until('not all are recorded', () => recorded >= audit.stats().failures.encode)
    expect(recorded).toBe(audit.stats().failures.encode)
    await audit.close()
  })

  it.each(WHILE_TAKEN)('from %s: an event is refused in closed mode', async (place) => {
    let inner: Promise<unknown> = Promise.resolve('not called')
    let isCalled = false
    const [options, trigger] = PLACES[place]?.(() => {
      if (isCalled) return
      isCalled = true
      inner = audit.started(startedEvent({ pid: 1 })).catch((error: unknown) => error)
    }) ?? [{}, recordGood]
    const { audit, diagnostics } = openAudit(dir.path('exec.log'), {
      ...options,
      failureMode: 'closed',
    })
    expect(await trigger(audit)).toBe('durable')
    const error = await inner
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ code: 'AUDIT_INVALID_EVENT', field: 'event', message: REENTRY })
    expect(diagnostics.auditFailures).toBe(1)
    expect(audit.stats()).toMatchObject({ events: { accepted: 1, failed: 1 } })
    expect(log()).not.toContain('"pid":1')
  })

  it.each<[string, (again: Once) => ExecAuditOptions]>([
    [
      'the clock',
      (again) => ({
        clock: () => {
          again()
          return 0
        },
      }),
    ],
    [
      'redact',
      (again) => ({
        redact: (argv) => {
          again()
          return argv
        },
      }),
    ],
  ])(
    '%s that records an event each time has that refused, counted and warned about',
    async (_, optionsOf) => {
      const outcomes: Promise<unknown>[] = []
      const record = () => {
        outcomes.push(audit.request(requestEvent()))
      }
      const { audit, diagnostics, warned } = openAudit(dir.path('exec.log'), optionsOf(record))
      record()
      record()
      const sorted = (await Promise.all(outcomes)).sort()
      expect(sorted).toEqual(['durable', 'durable', 'failed', 'failed'])
      expect(log().split('\n')).toHaveLength(3)
      expect([diagnostics.auditFailures, audit.stats().failures.encode]).toEqual([2, 2])
      const warning = ['AUDIT_INVALID_EVENT', `exec audit: ${REENTRY}`]
      const warnings = warned.map(({ object, message }) => [object.code, message])
      expect(warnings).toEqual([warning, warning])
    },
  )

  it('an async hook that records an event arranges no second wait for outcomes', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const waitAsync = jest.spyOn(Atomics, 'waitAsync')
    const outcomes: Promise<unknown>[] = []
    let isInHook = false
    const record = () => {
      if (isInHook) return
      isInHook = true
      outcomes.push(recordGood(audit))
      isInHook = false
    }
    withHook({ init: (_, type) => type === 'PROMISE' && record() }, () => {
      outcomes.push(recordGood(audit))
    })
    const waits = waitAsync.mock.calls.length
    waitAsync.mockRestore()
    expect([waits, outcomes.length > 2]).toEqual([1, true])
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['durable', 'failed']))
  })

  it('an async hook that records an event per promise comes to an end', async () => {
    const { audit } = openAudit(dir.path('exec.log'), { logger: { warn: () => undefined } })
    let outcome: Promise<unknown> | undefined
    const record = () => void audit.started(startedEvent({ pid: 1 }))
    withHook({ init: (_, type) => type === 'PROMISE' && record() }, () => {
      outcome = recordGood(audit)
    })
    expect(await outcome).toBe('durable')
    await audit.drain()
    const { accepted, succeeded, failed } = audit.stats().events
    expect([log().split('\n').length - 1, succeeded]).toEqual([accepted, accepted])
    expect(failed).toBeGreaterThan(0)
  })

  it('a process whose async hook records an event per promise ends by itself', async () => {
    const end = await runChild(
      `const { createHook } = require('node:async_hooks')
       const audit = open({ logger: { warn() {} } })
       const record = () => void audit.started({ requestId, pid: 1 })
       createHook({ init: (_, type) => type === 'PROMISE' && record() }).enable()
       record()`,
      [dir.path('exec.log')],
    )
    expect(end).toMatchObject({ code: 0, stdout: '', stderr: '' })
  })

  it.each(['wait', 'block', 'fail'] as const)(
    'an event of an async hook is in the file if its outcome says so, with onFull: %s',
    async (onFull) => {
      // So small that events wait, and that room is made while another one is in the encoder.
      const options = { ringBytes: 1024, onFull, logger: { warn: () => undefined } }
      const { audit } = openAudit(dir.path('exec.log'), options)
      const outcomes: Promise<unknown>[] = []
      let depth = 0
      let pid = 0
      const record = () => {
        if (depth === 2 || pid === 2_000) return
        depth++
        const mine = pid++
        outcomes[mine] = audit.started(startedEvent({ pid: mine }))
        depth--
      }
      const callbacks = { init: record, promiseResolve: record, before: record, after: record }
      hook = createHook(callbacks).enable()
      for (let i = 0; i < 20; i++) {
        for (let j = 0; j < 10; j++) record()
        await turn()
      }
      hook.disable()
      const settled = await Promise.all(outcomes)
      const durable = settled.flatMap((outcome, each) => (outcome === 'durable' ? [each] : []))
      const pids = log()
        .trimEnd()
        .split('\n')
        .map((line): number => JSON.parse(line).pid)
      expect(pids.sort((a, b) => a - b)).toEqual(durable)
      expect(durable.length).toBeGreaterThan(10)
      expect(new Set(settled)).toEqual(new Set(['durable', 'failed']))
    },
  )

  it.each<[string, string, number]>([
    [
      'an uncaught exception',
      `process.once('uncaughtException', handle); setImmediate(() => { throw new Error('boom') })`,
      4,
    ],
    [
      'an unhandled rejection',
      `process.once('unhandledRejection', handle); void Promise.reject(new Error('boom'))`,
      4,
    ],
    [
      'an exit handler before its own',
      `process.prependListener('exit', () => { void handle() }); process.exit(0)`,
      3,
    ],
    [
      'an exit handler after its own',
      `process.on('exit', () => { void handle() }); process.exit(0)`,
      3,
    ],
  ])('from the handler of %s: every call works, and nothing is lost', async (_, script, lines) => {
    const { code, stdout, stderr } = await runChild(
      `const audit = open()
       audit.started({ requestId, pid: 0 })
       const handle = async () => {
         audit.started({ requestId, pid: 1 })
         audit.reopen()
         console.log(audit.drainSync(), audit.stats().events.pending)
         const drained = audit.drain()
         audit.started({ requestId, pid: 2 })
         await drained
         // Promises are settled only if the process does not end.
         console.log(await audit.started({ requestId, pid: 3 }))
         await audit.close()
       }
       ${script}`,
      [dir.path('exec.log')],
    )
    const settled = lines === 4 ? 'durable\n' : ''
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `true 0\n${settled}`, stderr: '' })
    expect(log()).toBe(startedLines(lines))
  })

  it.each(['ends with close()', 'is left idle'])(
    'a process whose async hooks record events ends by itself when the audit %s',
    async (how) => {
      const { code, stdout, stderr } = await runChild(
        `const audit = open({ ringBytes: 1024 })
         let inHook = 0
         const record = () => {
           if (inHook > 2) return
           inHook++
           void audit.started({ requestId, pid: 0 })
           inHook--
         }
         const hook = require('node:async_hooks').createHook({ init: record }).enable()
         const main = async () => {
           for (let n = 0; n < 20; n++) record()
           hook.disable()
           await audit.drain()
           ${how === 'ends with close()' ? 'await audit.close()' : ''}
           const handles = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout')
           console.log(handles.length, audit.stats().events.pending)
         }
         main()`,
        [dir.path('exec.log')],
      )
      expect({ code, stdout, stderr }).toEqual({
        code: 0,
        stdout: '0 0\n',
        stderr: expect.any(String),
      })
    },
  )
})

describe('a clock', () => {
  const dir = useTempDir()
  const record = async (answers: readonly unknown[]): Promise<number[]> => {
    let next = 0
    const options = { fsync: { maxDelayMs: 0 } }
    // As a JavaScript user could give it, whatever the types say.
    Reflect.set(options, 'clock', () => answers[next++])
    const { audit } = openAudit(dir.path('exec.log'), options)
    for (const _ of answers) expect(await recordGood(audit)).toBe('durable')
    const lines = readFileSync(dir.path('exec.log'), 'utf8').trimEnd().split('\n')
    return lines.map((line) => JSON.parse(line).ts_unix_ms)
  }

  it('that jumps back is believed: order is that of the calls', async () => {
    expect(await record([5_000, 4_000, 0, -1, 7_000])).toEqual([5_000, 4_000, 0, 0, 7_000])
  })

  it('that gives no finite number is replaced by the system time', async () => {
    const before = Date.now()
    const odd = [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      new Date(0),
      5n,
      '5',
    ]
    const times = await record([...odd, undefined, null])
    const after = Date.now()
    expect(times).toHaveLength(odd.length + 2)
    for (const time of times) expect(time >= before && time <= after).toBe(true)
  })
})
