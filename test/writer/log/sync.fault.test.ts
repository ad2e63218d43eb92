import { readFileSync, writeFileSync } from 'node:fs'
import { HOSTS, runChild } from '../../support/children/run-child'
import { startedLine } from '../../support/events'
import { itWithStrace, strace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'

const SECTOR_BYTES = 512

/** Records three events one after another, and prints the outcomes and counts. */
const THREE_EVENTS = `
const run = async (options) => {
  const codes = []
  const audit = open({ logger: { warn: ({ code, err }) => codes.push(code, err.cause?.code) }, ...options })
  const outcomes = []
  for (let pid = 0; pid < 3; pid++) {
    outcomes.push(await audit.started({ requestId, pid }).catch((error) => error.code))
  }
  const { failures, groups, file } = audit.stats()
  console.log(JSON.stringify({ outcomes, codes, sync: failures.sync, write: failures.write, retries: groups.retries, opens: file.opens }))
}
`

describe.each(HOSTS)('a sync or write that fails, with the audit in %s', (host) => {
  const dir = useTempDir()
  const log = () => readFileSync(dir.path('exec.log'), 'utf8')
  const run = async (injection: string, options: string) => {
    const path = dir.path('exec.log')
    const end = await runChild(
      `${THREE_EVENTS} run(${options})`,
      [path],
      strace(path, injection),
      '',
      host,
    )
    expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
    const result: unknown = JSON.parse(end.stdout)
    return result
  }

  itWithStrace.each(['EIO', 'EROFS', 'ENOSPC', 'EINVAL'])(
    'fdatasync with %s fails its own event, and the next goes to a freshly opened file',
    async (errno) => {
      expect(await run(`fdatasync:error=${errno}:when=2`, '{}')).toEqual({
        outcomes: ['durable', 'failed', 'durable'],
        codes: ['AUDIT_SYNC_FAILED', errno, 'AUDIT_RECOVERED', null],
        sync: 1,
        write: 0,
        retries: 0,
        opens: 2,
      })
      expect(log()).toBe(startedLine(0) + startedLine(1) + startedLine(2))
    },
  )

  itWithStrace('the next line never continues a line in a sector that may be lost', async () => {
    // The line whose sync fails ends where a sector does, its newline with it.
    const before = `${'x'.repeat(SECTOR_BYTES - startedLine(0).length - 1)}\n`
    writeFileSync(dir.path('exec.log'), before)
    expect(await run('fdatasync:error=EIO:when=1', '{}')).toMatchObject({
      outcomes: ['failed', 'durable', 'durable'],
    })
    expect(log()).toBe(`${before}${startedLine(0)}\n${startedLine(1)}${startedLine(2)}`)
  })

  itWithStrace('rejects with AUDIT_SYNC_FAILED in closed mode', async () => {
    expect(await run('fdatasync:error=EIO:when=2', `{ failureMode: 'closed' }`)).toMatchObject({
      outcomes: ['durable', 'AUDIT_SYNC_FAILED', 'durable'],
    })
  })

  itWithStrace('retryForMs writes the group again to a fresh file, whole', async () => {
    expect(await run('fdatasync:error=EIO:when=2', '{ retryForMs: 5000 }')).toEqual({
      outcomes: ['durable', 'durable', 'durable'],
      codes: [],
      sync: 0,
      write: 0,
      retries: 1,
      opens: 2,
    })
    // Twice: the bytes of the failed sync prove nothing, even if they can be read back.
    expect(log()).toBe(startedLine(0) + startedLine(1) + startedLine(1) + startedLine(2))
  })

  itWithStrace('gives up after retryForMs when the fault stays', async () => {
    expect(await run('fdatasync:error=EIO:when=2+', '{ retryForMs: 60 }')).toMatchObject({
      outcomes: ['durable', 'failed', 'failed'],
      sync: 2,
    })
  })

  itWithStrace('a failed fsync fails its event, too', async () => {
    const options = `{ fsync: { method: 'fsync' } }`
    expect(await run('fsync:error=EIO:when=2', options)).toMatchObject({
      outcomes: ['durable', 'failed', 'durable'],
    })
  })

  const WRITE_ERRORS = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO']

  itWithStrace.each(WRITE_ERRORS)(
    'a write with %s fails its event, and nothing of it comes with the next',
    async (errno) => {
      expect(await run(`write:error=${errno}:when=2`, '{}')).toEqual({
        outcomes: ['durable', 'failed', 'durable'],
        codes: ['AUDIT_WRITE_FAILED', errno, 'AUDIT_RECOVERED', null],
        sync: 0,
        write: 1,
        retries: 0,
        opens: 2,
      })
      expect(log()).toBe(startedLine(0) + startedLine(2))
    },
  )

  itWithStrace.each(WRITE_ERRORS)(
    'a write with %s is tried again within retryForMs, and written once',
    async (errno) => {
      const reported = await run(`write:error=${errno}:when=2`, '{ retryForMs: 5000 }')
      expect(reported).toMatchObject({ outcomes: ['durable', 'durable', 'durable'], retries: 1 })
      expect(log()).toBe(startedLine(0) + startedLine(1) + startedLine(2))
    },
  )

  itWithStrace('a folder whose entry cannot be synced fails the event', async () => {
    const folder = dir.path('new')
    const end = await runChild(
      `${THREE_EVENTS} run({})`,
      [`${folder}/exec.log`],
      strace(folder, 'fsync:error=EIO:when=1'),
      '',
      host,
    )
    expect(JSON.parse(end.stdout)).toMatchObject({
      outcomes: ['failed', 'durable', 'durable'],
      codes: ['AUDIT_FOLDER_FAILED', 'EIO', 'AUDIT_RECOVERED', null],
    })
  })

  itWithStrace('a folder that is deleted before its entry is synced is made again', async () => {
    const folder = dir.path('new')
    const path = `${folder}/exec.log`
    const fault = strace(folder, 'openat:error=ENOENT:when=1')
    const end = await runChild(`${THREE_EVENTS} run({})`, [path], fault, '', host)
    expect(JSON.parse(end.stdout)).toMatchObject({
      outcomes: ['durable', 'durable', 'durable'],
      codes: [],
    })
    expect(readFileSync(path, 'utf8')).toBe(startedLine(0) + startedLine(1) + startedLine(2))
  })
})
