import { readFileSync } from 'node:fs'
import { runChild } from '../support/children/run-child'
import { startedLine } from '../support/events'
import { useTempDir } from '../support/temp-dir'

describe('the precompiled serializers', () => {
  const dir = useTempDir()

  it('need no eval, in the worker or on the calling thread', async () => {
    const end = await runChild(
      `const forbidden = (() => { try { return new Function('return false')() } catch { return true } })()
       const record = async (pid, options) => {
         const audit = open(options)
         const outcome = await audit.started({ requestId, pid })
         const { drainer } = audit.stats().worker
         await audit.close()
         return outcome + ' by ' + drainer
       }
       const alone = { workerFile: '/no/such/worker.js', logger: { warn() {} } }
       record(0).then(async (first) => console.log(forbidden, first, await record(1, alone)))`,
      [dir.path('exec.log')],
      ['env', 'NODE_OPTIONS=--disallow-code-generation-from-strings'],
    )
    expect(end).toMatchObject({
      code: 0,
      stdout: 'true durable by worker durable by caller\n',
      stderr: '',
    })
    expect(readFileSync(dir.path('exec.log'), 'utf8')).toBe(startedLine(0) + startedLine(1))
  })
})
