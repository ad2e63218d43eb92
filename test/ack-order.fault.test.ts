import { readFileSync } from 'node:fs'
import { runChild } from './helpers/run-child'
import { itWithStrace } from './helpers/strace'
import { useTempDir } from './helpers/temp-dir'

const EVENTS = 2_000
/** Acknowledgements are written to this descriptor, so that the trace holds them in their order. */
const ACK = 'ack '

/**
 * Keeps `inFlight` events in flight, and writes each acknowledgement to standard output by a system
 * call of its own.
 */
const script = (inFlight: number, fsync: string) => `
const fs = require('node:fs')
const say = (text) => {
  // The pipe is full while its reader is busy.
  for (;;) try { return fs.writeSync(1, text) } catch (error) { if (error.code !== 'EAGAIN') throw error }
}
const run = async () => {
  const audit = open({ fsync: ${fsync} })
  let pid = 0
  const loop = async () => {
    while (pid < ${EVENTS}) {
      const mine = pid++
      const outcome = await audit.started({ requestId, pid: mine })
      say('${ACK}' + mine + ' ' + outcome + '\\n')
    }
  }
  await Promise.all(Array.from({ length: ${inFlight} }, loop))
  await audit.close()
}
run()
`

interface Traced {
  readonly syncs: number
  readonly acks: number
  readonly early: readonly number[]
}

/**
 * Reads a trace in its order: a line counts as synced when an fdatasync that began after its write
 * has returned 0; an acknowledgement that comes before that is early.
 */
function judge(trace: string): Traced {
  const written: number[] = []
  const synced = new Set<number>()
  const early: number[] = []
  let covered = 0
  let acks = 0
  let syncs = 0
  for (const line of trace.split('\n')) {
    const isResumed = line.includes('<... fdatasync resumed')
    if (line.includes(' write(') && line.includes('\\"event\\":\\"started\\"')) {
      for (const [, pid] of line.matchAll(/\\"pid\\":(\d+)/g)) written.push(Number(pid))
    } else if (line.includes(' fdatasync(') || isResumed) {
      if (!isResumed) covered = written.length
      if (/= 0(\s|$)/.test(line)) {
        syncs++
        for (const pid of written.splice(0, covered)) synced.add(pid)
        covered = 0
      }
    } else if (line.includes(` write(1, "${ACK}`) && !line.includes('EAGAIN')) {
      acks++
      const pid = Number(/"ack (\d+) durable/.exec(line)?.[1])
      if (!synced.has(pid)) early.push(pid)
    }
  }
  return { syncs, acks, early }
}

describe('an acknowledgement', () => {
  const dir = useTempDir()

  itWithStrace.each([
    [1, '{}', EVENTS],
    [64, '{}', undefined],
    [1024, '{}', undefined],
    [64, '{ maxEvents: 1 }', EVENTS],
  ])('comes after the sync of its line: %i in flight, fsync %s', async (inFlight, fsync, syncs) => {
    const trace = dir.path('trace')
    const calls = 'trace=write,fdatasync'
    const tracer = ['strace', '-f', '-qq', '-s', '4000000', '-e', calls, '-o', trace]
    const end = await runChild(script(inFlight, fsync), [dir.path('exec.log')], tracer)
    expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
    const judged = judge(readFileSync(trace, 'utf8'))
    expect(judged.early).toEqual([])
    expect(judged.acks).toBe(EVENTS)
    if (syncs !== undefined) expect(judged.syncs).toBe(syncs)
    else expect(judged.syncs).toBeLessThan(EVENTS / 2)
  })
})
