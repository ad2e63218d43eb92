import { readFileSync } from 'node:fs'
import { runChild } from '../support/children/run-child'
import { startedLine } from '../support/events'
import { useTempDir } from '../support/temp-dir'

// Node has renamed the flag since version 20.
const FLAG = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission'

const RECORD = `
const codes = []
const options = { logger: { warn: ({ code }) => codes.push(code) } }
const audit = open(fsync === undefined ? options : { ...options, fsync })
audit.started({ requestId, pid: 0 }).then((outcome) => {
  console.log(outcome, codes.join(' '))
  return audit.close()
})
`

describe("under Node's permission model", () => {
  const dir = useTempDir()
  const run = (flags: string, fsync: string) => {
    const options = `${FLAG} --allow-fs-read=* --allow-fs-write=* --no-warnings ${flags}`
    const script = `const fsync = ${fsync}; ${RECORD}`
    return runChild(script, [dir.path('exec.log')], ['env', `NODE_OPTIONS=${options}`])
  }

  it('with --allow-worker it works as ever', async () => {
    const end = await run('--allow-worker', 'undefined')
    expect(end).toMatchObject({ code: 0, stdout: 'durable \n', stderr: '' })
    expect(readFileSync(dir.path('exec.log'), 'utf8')).toBe(startedLine(0))
  })

  it('without it no sync is allowed: the event fails, with the reason', async () => {
    const end = await run('', 'undefined')
    expect(end).toMatchObject({
      code: 0,
      stdout: 'failed AUDIT_WORKER_LOST AUDIT_FOLDER_FAILED\n',
      stderr: '',
    })
  })

  it('without it the calling thread still writes, if no sync is asked for', async () => {
    const end = await run('', "{ method: 'none' }")
    expect(end).toMatchObject({ code: 0, stdout: 'written AUDIT_WORKER_LOST\n', stderr: '' })
    expect(readFileSync(dir.path('exec.log'), 'utf8')).toBe(startedLine(0))
  })
})
