import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { IDLE_LINGER_MS } from '../../../src/writer/ring/messages'
import { runChild } from '../../support/children/run-child'
import { CATCH_WORKERS } from '../../support/children/worker-scripts'
import { itWithStrace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'
import { readTrace } from '../../support/trace'

const NEWLINE = 0x0a
const BURSTS = [1, 2, 1, 50, 700, 3]
const EVENTS = BURSTS.reduce((sum, size) => sum + size)
/** It stops at these calls alone: at each wake-up, the calling thread would fall behind the worker. */
const STRACE = ['strace', '-f', '--seccomp-bpf', '-qq', '-e', 'trace=write,fdatasync']

const STATE = "{ drainer: 'worker', sessions: 1, deaths: 0 }"

describe('the worker', () => {
  const dir = useTempDir()

  itWithStrace('hands each group over in one write of whole lines, and syncs it once', async () => {
    const [path, trace] = [dir.path('exec.log'), dir.path('trace')]
    const end = await runChild(
      `const audit = open()
       const burst = (size) => Promise.all(Array.from({ length: size }, (_, pid) => audit.started({ requestId, pid })))
       const main = async () => {
         for (const size of ${JSON.stringify(BURSTS)}) await burst(size)
         const { groups, syncs } = audit.stats()
         await audit.close()
         console.log(JSON.stringify([groups.count, syncs.count]))
       }
       main()`,
      [path],
      [...STRACE, '-o', trace, '-P', path],
    )
    expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
    const calls: string[] = []
    const lengths: number[] = []
    await readTrace(trace, {
      onBegin: ({ name }) => calls.push(name),
      onEnd: ({ name, result }) => name === 'write' && lengths.push(result),
    })
    const written = readFileSync(path)
    let at = 0
    const lasts = lengths.map((length) => {
      at += length
      return written[at - 1]
    })
    expect([at, new Set(lasts)]).toEqual([written.length, new Set([NEWLINE])])
    const [groups, syncs]: number[] = JSON.parse(end.stdout)
    expect(calls).toEqual(Array.from({ length: groups ?? 0 }, () => ['write', 'fdatasync']).flat())
    expect([syncs, lengths.length]).toEqual([groups, groups])
    // Bursts shared their groups.
    expect(groups).toBeLessThan(EVENTS / 2)
  })

  it('is one thread with one session for the life of its ExecAudit, whatever the pauses are', async () => {
    const end = await runChild(
      `const main = async () => {
         const [first, second] = [open(), open()]
         // A while after its last event it waits in its event loop, and no longer in a blocking wait.
         for (const ms of [0, 10, 100, ${IDLE_LINGER_MS + 100}, 0, 60]) {
           await first.started({ requestId, pid: 0 })
           await pause(ms)
         }
         await second.started({ requestId, pid: 0 })
         console.log(workers.length, first.stats().worker, second.stats().worker)
         await Promise.all([first.close(), second.close()])
         console.log(workers.length)
       }
       main()`,
      [dir.path('exec.log')],
      [],
      CATCH_WORKERS,
    )
    expect(end).toMatchObject({ code: 0, stdout: `2 ${STATE} ${STATE}\n2\n`, stderr: '' })
  })

  it('loads no part of Node.js that costs each writer a megabyte', async () => {
    const file = join(__dirname, '../../../dist/writer/worker/exec-audit-worker.js')
    const worker = new Worker(
      `const before = new Set(process.moduleLoadList)
       require(${JSON.stringify(file)})
       const added = process.moduleLoadList.filter((name) => !before.has(name))
       require('node:worker_threads').parentPort.postMessage(added)`,
      { eval: true },
    )
    const added = await new Promise((resolve, reject) => {
      worker.once('message', resolve).once('error', reject)
    })
    const costly = ['crypto', 'child_process', 'http', 'net', 'readline', 'zlib']
    for (const name of costly) expect(added).not.toContain(`NativeModule ${name}`)
  })
})
