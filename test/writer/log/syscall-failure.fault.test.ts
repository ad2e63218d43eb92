import type { Call } from '../../support/simulation/disk'
import { FailingRun } from '../../support/simulation/failing-run'
import { ERRNOS } from '../../support/simulation/simulation'
import { turn } from '../../support/waiting'

const CODES = ['EIO', 'ENOSPC', 'EROFS', 'EMFILE', 'EDQUOT', 'EINTR'] as const
/** More calls than the scenario makes without a failure. */
const CALLS_MAX = 2_000
const LENGTHS = { once: 1, 'for a while': 5, 'for ever': Number.POSITIVE_INFINITY }

/** Whether the kernel may fail the call with this error. */
const isPlausible = (call: Call, code: string) => ERRNOS[call].includes(code)

describe.each([0, 500])('with retryForMs %d', (retryForMs) => {
  describe.each(Object.entries(LENGTHS))('when a call fails %s', (_, length) => {
    it.each(CODES)('with %s, each call in turn, every promise is kept', async (code) => {
      let at = 0
      let failed = 0
      for (let isReached = true; isReached && at < CALLS_MAX; at++) {
        const run = new FailingRun({ at, length, code, retryForMs, isPlausible })
        try {
          isReached = run.run()
        } catch (thrown) {
          throw new Error(`call ${at}:\n${run.trace.join('\n')}`, { cause: thrown })
        }
        failed += run.failed
        // sonic-boom leaves a callback for each file that it is given.
        await turn()
      }
      process.stdout.write(`    ${code}: calls=${at - 1} failedEvents=${failed}\n`)
      if (retryForMs > 0 && Number.isFinite(length)) expect(failed).toBe(0)
      expect(at).toBeGreaterThan(50)
      expect(at).toBeLessThan(CALLS_MAX)
    })
  })
})
