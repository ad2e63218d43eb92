import { readFileSync } from 'node:fs'
import { startChild } from '../support/children/run-child'
import { startedLines } from '../support/events'
import { itWithStrace, straceBeside } from '../support/strace'
import { useTempDir } from '../support/temp-dir'
import { pause } from '../support/waiting'

/** Limits on blocking waits, in milliseconds: longer than any sync, shorter than the standstill. */
const LIMIT_MS = 2_000
const STANDSTILL_MS = 3_000
const SLOW_SYNC = 'fdatasync:delay_enter=400000:when=2+'

const PENDING = 100
const WAITS = {
  'process.exit() drains': [`record(); say(); process.exit(0)`, ''],
  'drainSync() blocks': [`record(); say(); console.log(audit.drainSync(${LIMIT_MS}))`, 'true\n'],
  "onFull 'block' blocks": [`record(1); say(); record()`, ''],
} as const

describe('a process that is stopped for longer than the limit, while', () => {
  const dir = useTempDir()

  itWithStrace.each(Object.entries(WAITS))(
    '%s, loses nothing and blames no disk',
    async (_, [script, output]) => {
      const path = dir.path('exec.log')
      const child = startChild(
        `const { writeSync } = require('node:fs')
         const limits = { exitDrainMs: ${LIMIT_MS}, maxBlockMs: ${LIMIT_MS}, onFull: 'block' }
         const audit = open({ ...limits, ringBytes: 4096 })
         let pid = 0
         const record = (count = ${PENDING}) => { for (; pid < count; pid++) audit.started({ requestId, pid }) }
         const say = () => writeSync(2, 'now\\n')
         const first = audit.started({ requestId, pid: pid++ })
         first.then(() => { ${script} })`,
        [path],
        straceBeside(path, SLOW_SYNC),
      )
      await child.said('now')
      child.process.kill('SIGSTOP')
      await pause(STANDSTILL_MS)
      child.process.kill('SIGCONT')
      const end = await child.end
      expect(end).toMatchObject({ code: 0, stdout: output, stderr: 'now\n' })
      expect(readFileSync(path, 'utf8')).toBe(startedLines(PENDING))
    },
  )
})
