import { readFileSync, writeFileSync } from 'node:fs'
import { HOSTS, runChild } from '../../support/children/run-child'
import { COUNT_OUTCOMES } from '../../support/children/worker-scripts'
import { startedLines } from '../../support/events'
import { itWithStrace, strace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'

const KIB = 1024
/**
 * A ring of 64 to 85 `started` records, and a disk that takes 20 ms for each sync. How many find room is up
 * to the scheduler: a caller that is held up by it gives the disk the time.
 */
const SMALL_RING = 4 * KIB
const SLOW_SYNC = 'fdatasync:delay_exit=20000'

describe.each(HOSTS)('a full ring and a slow disk, with the audit in %s', (host) => {
  const dir = useTempDir()
  const log = () => readFileSync(dir.path('exec.log'), 'utf8')
  const pids = () => {
    const lines = log().trimEnd().split('\n')
    return lines.map((line): number => JSON.parse(line).pid)
  }
  const run = (script: string) => {
    const path = dir.path('exec.log')
    return runChild(COUNT_OUTCOMES + script, [path], strace(path, SLOW_SYNC), '', host)
  }

  itWithStrace("onFull 'wait' keeps all events, in order, outside the ring", async () => {
    const end = await run(`
      const audit = open({ ringBytes: ${SMALL_RING} })
      const outcomes = []
      for (let pid = 0; pid < 1000; pid++) outcomes.push(audit.started({ requestId, pid }))
      console.log(audit.stats().waiting.events > 0, audit.stats().ring.usedBytes <= ${SMALL_RING})
      Promise.all(outcomes).then((all) => {
        const { waiting } = audit.stats()
        console.log(count(all), waiting.events, waiting.bytes, waiting.bytesMax > 0)
      })`)
    expect(end).toMatchObject({
      code: 0,
      stdout: 'true true\n{ durable: 1000 } 0 0 true\n',
      stderr: '',
    })
    expect(log()).toBe(startedLines(1000))
  })

  itWithStrace.each(['wait', 'block'])(
    "onFull '%s' lets no small event overtake a large one that finds no room",
    async (onFull) => {
      const end = await run(`
        const parties = { agentId: '11'.repeat(32), machineId: '22'.repeat(32), matchedAcl: null, stdinBytes: 0 }
        const audit = open({ ringBytes: ${SMALL_RING}, onFull: '${onFull}', maxBlockMs: 60_000 })
        const outcomes = []
        // 700 bytes leave room in the ring for small ones; 5,000 go beside it.
        for (let pid = 0; pid < 300; pid++) {
          const argv = ['x'.repeat(pid % 10 === 9 ? 5_000 : 700)]
          const isLarge = pid % 3 === 0 || pid % 10 === 9
          outcomes.push(isLarge
            ? audit.request({ ...parties, requestId, argv, timeoutMs: pid })
            : audit.started({ requestId, pid }))
        }
        Promise.all(outcomes).then((all) => console.log(count(all)))`)
      expect(end).toMatchObject({ code: 0, stdout: '{ durable: 300 }\n', stderr: '' })
      const lines = log().trimEnd().split('\n')
      const order = lines.map((line) => {
        const fields: { pid?: number; timeout_ms?: number } = JSON.parse(line)
        return fields.pid ?? fields.timeout_ms
      })
      expect(order).toEqual(Array.from({ length: 300 }, (_, i) => i))
    },
  )

  itWithStrace('waiting is bounded by maxWaitingBytes; what was accepted is kept', async () => {
    const end = await run(`
      const codes = new Set()
      const logger = { warn: ({ code }) => codes.add(code) }
      const audit = open({ ringBytes: ${SMALL_RING}, maxWaitingBytes: 64 * 1024, logger })
      const outcomes = []
      for (let pid = 0; pid < 1000; pid++) outcomes.push(audit.started({ requestId, pid }))
      Promise.all(outcomes).then((all) => {
        const failed = all.filter((outcome) => outcome === 'failed').length
        const { failures, events, waiting } = audit.stats()
        console.log(failed === failures.full, failed === events.failed, failed > 0, ...codes)
        console.log(waiting.bytesMax <= 64 * 1024, all.findIndex((o) => o === 'failed'), events.accepted)
      })`)
    expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
    const [first = '', second = ''] = end.stdout.split('\n')
    expect(first).toBe('true true true AUDIT_RING_FULL')
    const [isBounded, firstFailed, accepted] = second.split(' ')
    expect(isBounded).toBe('true')
    expect(pids()).toHaveLength(Number(accepted))
    expect(pids().slice(0, Number(firstFailed))).toEqual(
      Array.from({ length: Number(firstFailed) }, (_, pid) => pid),
    )
    expect(pids()).toEqual([...pids()].sort((a, b) => a - b))
  })

  itWithStrace("onFull 'block' blocks the caller; nothing is lost or reordered", async () => {
    const end = await run(`
      const audit = open({ ringBytes: ${SMALL_RING}, onFull: 'block' })
      const outcomes = []
      for (let pid = 0; pid < 1000; pid++) outcomes.push(audit.started({ requestId, pid }))
      console.log(audit.stats().waiting.events, audit.stats().events.settled > 800)
      Promise.all(outcomes).then((all) => console.log(count(all)))`)
    expect(end).toMatchObject({ code: 0, stdout: '0 true\n{ durable: 1000 }\n', stderr: '' })
    expect(log()).toBe(startedLines(1000))
  })

  itWithStrace('blocking is bounded by maxBlockMs', async () => {
    // Three rings full: a caller that is held up during one of its waits is refused in another.
    const end = await runChild(
      `const audit = open({ ringBytes: 1024, onFull: 'block', maxBlockMs: 50, failureMode: 'closed', logger: { warn() {} } })
       const outcomes = []
       for (let pid = 0; pid < 60; pid++) {
         outcomes.push(audit.started({ requestId, pid }).catch(({ code, message }) => [code, message]))
       }
       Promise.all(outcomes).then((all) => {
         const refused = all.filter((outcome) => outcome !== 'durable')
         console.log(refused.length > 0, refused[0])
       })`,
      [dir.path('exec.log')],
      strace(dir.path('exec.log'), 'fdatasync:delay_exit=400000'),
      '',
      host,
    )
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(end.stdout).toBe(
      `true [\n  'AUDIT_RING_FULL',\n  'no room for the event: waited maxBlockMs=50; the disk is slower than the events, raise ringBytes or that limit'\n]\n`,
    )
  })

  itWithStrace("onFull 'fail' fails what does not fit, at once, and keeps the rest", async () => {
    const end = await run(`
      const audit = open({ ringBytes: ${SMALL_RING}, onFull: 'fail', logger: { warn() {} } })
      const outcomes = []
      for (let pid = 0; pid < 1000; pid++) outcomes.push(audit.started({ requestId, pid }))
      const { failures, events } = audit.stats()
      console.log(failures.full > 0, failures.full + events.accepted)
      Promise.all(outcomes).then((all) => console.log(count(all).durable === events.accepted, events.accepted))`)
    expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
    const [first, second = ''] = end.stdout.split('\n')
    expect(first).toBe('true 1000')
    const [isSame, accepted] = second.split(' ')
    expect(isSame).toBe('true')
    expect(log()).toBe(startedLines(Number(accepted)))
  })

  itWithStrace('process.exit() drains what waits outside the ring too', async () => {
    const end = await run(`
      const audit = open({ ringBytes: ${SMALL_RING} })
      for (let pid = 0; pid < 1000; pid++) audit.started({ requestId, pid })
      pause(60).then(() => process.exit(0))`)
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(log()).toBe(startedLines(1000))
  })

  it('a logger that records an event while a call blocks harms neither', async () => {
    const path = dir.path('exec.log')
    writeFileSync(path, 'torn')
    const end = await runChild(
      `const logger = {
         warn({ code }) {
           if (code === 'AUDIT_TORN_TAIL') audit.started({ requestId, pid: 100 })
         },
       }
       // Without a worker the calling thread drains, and meets the torn line, while it blocks.
       const options = { ringBytes: 1024, onFull: 'block', workerFile: '/no/such/worker.js', logger }
       const audit = open(options)
       const outcomes = []
       for (let pid = 0; pid < 100; pid++) outcomes.push(audit.started({ requestId, pid }))
       Promise.all(outcomes).then((all) => console.log(count(all)))`,
      [path],
      [],
      COUNT_OUTCOMES,
      host,
    )
    expect(end).toMatchObject({ code: 0, stdout: '{ durable: 100 }\n', stderr: '' })
    const written = log()
      .split('\n')
      .slice(1, -1)
      .map((line): number => JSON.parse(line).pid)
    expect(written.filter((pid) => pid !== 100)).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect(written.filter((pid) => pid === 100)).toEqual([100])
  })
})
