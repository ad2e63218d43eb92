import { runChild } from '../../support/children/run-child'
import { itWithStrace, strace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'

const EVENTS = 200

describe('promises', () => {
  const dir = useTempDir()

  // One sync in three fails; all events have their outcome before the event loop turns.
  itWithStrace.each([
    ['open', 1],
    ['closed', 1],
    ['open', 25],
    ['closed', 25],
  ])(
    'settle in the order of their calls, failed ones among them, in %s mode, groups of %i',
    async (failureMode, maxEvents) => {
      const path = dir.path('exec.log')
      const end = await runChild(
        `const audit = open({ failureMode: '${failureMode}', fsync: { maxEvents: ${maxEvents} }, logger: { warn() {} } })
         const settled = []
         const run = async () => {
           for (let pid = 0; pid < ${EVENTS}; pid++) {
             const note = (outcome) => settled.push([pid, outcome.code ?? outcome])
             audit.started({ requestId, pid }).then(note, note)
           }
           audit.drainSync()
           const early = settled.length
           await audit.drain()
           await turn()
           console.log(JSON.stringify({ early, settled }))
         }
         run()`,
        [path],
        strace(path, 'fdatasync:error=EIO:when=2+3'),
      )
      expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
      const { early, settled }: { early: number; settled: [number, string][] } = JSON.parse(
        end.stdout,
      )
      expect(early).toBe(0)
      expect(settled.map(([pid]) => pid)).toEqual(Array.from({ length: EVENTS }, (_, pid) => pid))
      const failed = failureMode === 'open' ? 'failed' : 'AUDIT_SYNC_FAILED'
      const failures = settled.filter(([, outcome]) => outcome === failed)
      const durables = settled.filter(([, outcome]) => outcome === 'durable')
      expect(failures.length + durables.length).toBe(EVENTS)
      expect(failures.length).toBeGreaterThan(0)
      // One that has failed stands before one that has not.
      expect(failures[0]?.[0]).toBeLessThan(durables.at(-1)?.[0] ?? 0)
    },
  )
})
