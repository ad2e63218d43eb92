import { mkdirSync, readFileSync } from 'node:fs'
import { startChild } from '../../support/children/run-child'
import { startedLine, startedLines } from '../../support/events'
import { itWithMounts, privileged, unmount } from '../../support/privileged'
import { endStrace, itWithStrace, straceBeside } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'

const EVENTS = times('EVENTS', 3_000, 10_000)
/** A ring of some 70 events, and room for some 1,100 more beside it. */
const RING_BYTES = 4 * 1024
const WAITING_BYTES = 64 * 1024
/** What an event of this test counts at most while it waits: no further one has room. */
const WAITING_EVENT_BYTES_MAX = 700
const SLOW_MS = 5_000
const SLOW = `fdatasync:delay_enter=${SLOW_MS * 1_000}:when=2`
const HUNG = 'fdatasync:delay_enter=600000000:when=2+'

/**
 * How late the event loop's timers usually are at most, beyond their delay on this machine without any
 * load; and how late they ever are, beyond those of a thread that has nothing to do with the audit. A loop
 * that waits for the disk once is late by seconds; if the machine stands still, both are.
 */
const USUAL_DELAY_MS = 50
const ANY_DELAY_MS = SLOW_MS / 2
/** The defaults of `exitDrainMs` and `maxBlockMs`. */
const DEFAULT_LIMIT_MS = 10_000
const RSS_GROWTH_BYTES = 128 * 1024 * 1024

/**
 * After a first durable event, records the others in bursts while the disk is slow, and reports the outcome
 * of each, the delays of the event loop and the memory used.
 */
const LOAD = `
const { monitorEventLoopDelay } = require('node:perf_hooks')
const { once } = require('node:events')
const { Worker } = require('node:worker_threads')
/** A thread that reports how late its own timers ever were. */
const BYSTANDER = \`
const { monitorEventLoopDelay } = require('node:perf_hooks')
const { parentPort } = require('node:worker_threads')
const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()
parentPort.on('message', () => parentPort.postMessage(delay.max / 1e6))
parentPort.postMessage('ready')\`
const codes = new Set()
const logger = { warn: ({ code }) => codes.add(code) }
const load = async (options) => {
  const audit = open({ ringBytes: ${RING_BYTES}, maxWaitingBytes: ${WAITING_BYTES}, logger, ...options })
  await audit.started({ requestId, pid: 0 })
  const bystander = new Worker(BYSTANDER, { eval: true })
  await once(bystander, 'message')
  const baseline = monitorEventLoopDelay({ resolution: 5 })
  baseline.enable()
  await pause(300)
  baseline.disable()
  const delay = monitorEventLoopDelay({ resolution: 5 })
  const rss = process.memoryUsage.rss()
  delay.enable()
  const from = performance.now()
  const outcomes = ['durable']
  for (let pid = 1; pid < ${EVENTS}; ) {
    for (let i = 0; i < 100 && pid < ${EVENTS}; i++) {
      const mine = pid++
      audit.started({ requestId, pid: mine }).then((outcome) => { outcomes[mine] = outcome })
    }
    await pause(5)
  }
  await pause(500)
  delay.disable()
  bystander.postMessage('tell')
  const [stillMs] = await once(bystander, 'message')
  bystander.unref()
  const { events, waiting, ring, failures } = audit.stats()
  const result = {
    noiseMs: baseline.percentile(50) / 1e6,
    usualMs: delay.percentile(50) / 1e6,
    maxMs: delay.max / 1e6,
    stillMs,
    rssBytes: process.memoryUsage.rss() - rss,
    events, waiting, ring, full: failures.full, codes: [...codes],
  }
  return { audit, outcomes, result, from }
}
const say = (result) => console.log(JSON.stringify(result))
`

interface LoadResult {
  readonly noiseMs: number
  readonly usualMs: number
  readonly maxMs: number
  /** How late the timers of the bystander ever were. */
  readonly stillMs: number
  readonly rssBytes: number
  readonly events: { readonly accepted: number; readonly pending: number; readonly failed: number }
  readonly waiting: { readonly bytes: number; readonly bytesMax: number }
  readonly ring: { readonly usedBytes: number }
  readonly full: number
  readonly codes: readonly string[]
}

/** Expects that the disk did not hold up the calling thread. */
function expectUndisturbed({ noiseMs, usualMs, maxMs, stillMs, rssBytes }: LoadResult): void {
  expect(usualMs).toBeLessThan(USUAL_DELAY_MS + 3 * noiseMs)
  expect(maxMs).toBeLessThan(ANY_DELAY_MS + stillMs)
  expect(rssBytes).toBeLessThan(RSS_GROWTH_BYTES)
}

describe('a disk', () => {
  let mounted = ''
  // Before the folder's own clean-up, which is registered next: hooks run in that order.
  afterEach(() => {
    thaw()
    unmount(mounted)
  })
  const dir = useTempDir()
  beforeEach(() => {
    mounted = dir.path('disk')
  })

  /** Thaws a frozen file system; does nothing if it is not frozen. */
  const thaw = () => {
    try {
      privileged('fsfreeze', '-u', mounted)
    } catch {
      // It was not.
    }
  }

  const start = (script: string, fault: string) => {
    const path = dir.path('exec.log')
    return startChild(LOAD + script, [path], straceBeside(path, fault))
  }
  const log = () => readFileSync(dir.path('exec.log'), 'utf8')

  itWithStrace.each(['wait', 'fail'] as const)(
    "that takes 5 s for a sync, onFull '%s': events that fit are kept, the rest fails, no call blocks",
    async (onFull) => {
      const child = start(
        `load({ onFull: '${onFull}' }).then(async ({ audit, outcomes, result, from }) => {
           const isEarly = audit.drainSync(50) && performance.now() - from < ${SLOW_MS}
           await audit.drain()
           const { pending } = audit.stats().events
           await null
           say({ ...result, isEarly, pendingAfter: pending, outcomes })
         })`,
        SLOW,
      )
      const { code, stdout } = await child.end
      const result: LoadResult & {
        isEarly: boolean
        pendingAfter: number
        outcomes: ('durable' | 'failed')[]
      } = JSON.parse(stdout)
      const { events, waiting, ring, outcomes, full } = result
      expect({ code, isEarly: result.isEarly, pendingAfter: result.pendingAfter }).toEqual({
        code: 0,
        isEarly: false,
        pendingAfter: 0,
      })
      const kept = [...outcomes.entries()].filter(([, outcome]) => outcome === 'durable')
      expect(outcomes).toHaveLength(EVENTS)
      expect(log()).toBe(kept.map(([pid]) => startedLine(pid)).join(''))
      expect([kept.length, full, result.codes]).toEqual([
        events.accepted,
        EVENTS - events.accepted,
        ['AUDIT_RING_FULL'],
      ])
      expect(ring.usedBytes).toBeLessThanOrEqual(RING_BYTES)
      expect(waiting.bytesMax).toBeLessThanOrEqual(onFull === 'wait' ? WAITING_BYTES : 0)
      const leastBytes = WAITING_BYTES - WAITING_EVENT_BYTES_MAX
      expect(waiting.bytesMax).toBeGreaterThanOrEqual(onFull === 'wait' ? leastBytes : 0)
      expectUndisturbed(result)
    },
  )

  itWithStrace.each(['wait', 'fail'] as const)(
    "that hangs for ever, onFull '%s': the exit gives up at its limit and says how many are lost",
    async (onFull) => {
      const child = start(
        `load({ onFull: '${onFull}', exitDrainMs: 200, logger: undefined }).then(({ result }) => {
           process.on('exit', () => say({ ...result, waitedMs: performance.now() - from }))
           const from = performance.now()
           process.exit(5)
         })`,
        HUNG,
      )
      await child.said('waitedMs')
      endStrace(child.process)
      const { code, stdout, stderr } = await child.end
      const result: LoadResult & { waitedMs: number } = JSON.parse(stdout)
      const { events, full } = result
      expect(code).toBe(5)
      expect(events.pending).toBe(events.accepted - 1)
      expect(events.accepted + full).toBe(EVENTS)
      expect(stderr.match(/^exec audit: .*/gm)).toEqual([
        `exec audit: ${events.pending} events are not known to be in ${dir.path('exec.log')}: the process ended while the disk did not answer for 200 ms`,
      ])
      expect(result.waitedMs).toBeGreaterThanOrEqual(199)
      expect(result.waitedMs).toBeLessThan(DEFAULT_LIMIT_MS)
      expectUndisturbed(result)
    },
  )

  itWithStrace(
    "that hangs for ever, onFull 'block': a call blocks for maxBlockMs, no longer",
    async () => {
      const child = start(
        `const audit = open({ ringBytes: 1024, onFull: 'block', maxBlockMs: 300, exitDrainMs: 0, logger: { warn() {} } })
       audit.started({ requestId, pid: 0 }).then(async () => {
         const blockedMs = []
         for (let pid = 1; blockedMs.length < 3; pid++) {
           const from = performance.now()
           const call = audit.started({ requestId, pid })
           const ms = performance.now() - from
           // A call that found room settles only with the disk.
           if (audit.stats().failures.full > blockedMs.length) blockedMs.push([await call, ms])
         }
         say(blockedMs)
       })`,
        HUNG,
      )
      await child.said('\n')
      child.process.kill('SIGKILL')
      endStrace(child.process)
      const { stdout } = await child.end
      const blocked: [string, number][] = JSON.parse(stdout)
      expect(blocked.map(([outcome]) => outcome)).toEqual(['failed', 'failed', 'failed'])
      for (const [, ms] of blocked) {
        expect(ms).toBeGreaterThanOrEqual(299)
        expect(ms).toBeLessThan(DEFAULT_LIMIT_MS)
      }
    },
  )

  itWithMounts('that is frozen and thawed under load loses nothing', async () => {
    mkdirSync(mounted)
    privileged('truncate', '-s', '64M', dir.path('image'))
    privileged('mkfs.ext4', '-q', '-F', dir.path('image'))
    privileged('mount', '-o', 'loop', dir.path('image'), mounted)
    const path = `${mounted}/exec.log`
    const child = startChild(
      `const fs = require('node:fs')
       const { execFileSync } = require('node:child_process')
       const audit = open({ ringBytes: ${RING_BYTES} })
       const outcomes = {}
       const record = (pid) => audit.started({ requestId, pid }).then((outcome) => {
         outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
       })
       const isBlocked = () => fs.readdirSync('/proc/self/task').some((id) =>
         / D /.test(fs.readFileSync('/proc/self/task/' + id + '/stat', 'latin1').slice(0, 60)))
       const run = async () => {
         await record(0)
         for (let pid = 1; pid < ${EVENTS}; pid++) {
           record(pid)
           if (pid % 100 === 0) await turn()
           if (pid === 1_000) execFileSync('fsfreeze', ['-f', ${JSON.stringify(mounted)}])
         }
         await until('no thread is blocked', isBlocked)
         console.log('frozen', audit.drainSync(200), audit.stats().events.pending > 0)
         await audit.drain()
         await null
         console.log(JSON.stringify(outcomes))
       }
       run()`,
      [path],
    )
    await child.said('frozen')
    thaw()
    expect(await child.end).toMatchObject({
      code: 0,
      stdout: `frozen false true\n{"durable":${EVENTS}}\n`,
      stderr: '',
    })
    expect(readFileSync(path, 'utf8')).toBe(startedLines(EVENTS))
  })
})
