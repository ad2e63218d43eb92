import { mkdirSync, readdirSync, readFileSync, realpathSync, statSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runChild } from '../../support/children/run-child'
import { startedLine } from '../../support/events'
import { itWithStrace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'

const RECORD_ONE = `
process.umask(Number(process.argv[2]))
const audit = open(JSON.parse(process.argv[3]))
audit.started({ requestId, pid: 0 }).then(async (outcome) => {
  await audit.close()
  console.log(outcome)
})`

describe('the opening of a log', () => {
  const dir = useTempDir()

  /** Records an event, and returns the traced calls, one per line. */
  const record = async (path: string, calls: string, { umask = 0o022, options = {} } = {}) => {
    const trace = dir.path('trace')
    const strace = ['strace', '-f', '-qq', '-y', '-o', trace, '-e', `trace=${calls}`]
    const args = [path, String(umask), JSON.stringify(options)]
    const end = await runChild(RECORD_ONE, args, strace)
    expect({ code: end.code, stdout: end.stdout }).toEqual({ code: 0, stdout: 'durable\n' })
    return readFileSync(trace, 'utf8').split('\n')
  }

  itWithStrace('syncs every folder above, the real ones behind symbolic links, too', async () => {
    const real = realpathSync(dir.path('.'))
    mkdirSync(join(real, 'disk/logs'), { recursive: true })
    mkdirSync(join(real, 'var'))
    // Two links in a row, the second one relative.
    symlinkSync(join(real, 'second'), join(real, 'var/log'))
    symlinkSync('disk/logs', join(real, 'second'))
    const calls = await record(join(real, 'var/log/app/exec.log'), 'fsync')
    const synced = new Set(calls.flatMap((call) => /fsync\(\d+<([^>]+)>/.exec(call)?.[1] ?? []))
    const above = ['disk/logs/app', 'disk/logs', 'disk', 'var', ''].map((name) => join(real, name))
    expect(above.filter((folder) => !synced.has(folder))).toEqual([])
    expect(synced.has(dirname(real))).toBe(true)
  })

  itWithStrace('gives a new file its whole mode before its name, whatever the umask', async () => {
    const path = dir.path('exec.log')
    const given = { umask: 0o077, options: { fileMode: 0o644 } }
    const calls = await record(path, 'openat,fchmod,link,linkat,unlink,write', given)
    const steps = calls.flatMap((call) => {
      if (!call.includes(`${path}`)) return []
      return /openat\([^)]*O_CREAT|fchmod|link(?:at)?\(|unlink|write/.exec(call)?.[0] ?? []
    })
    expect(steps.map((step) => step.replace(/\(.*/, '').replace('linkat', 'link'))).toEqual([
      ...['openat', 'fchmod', 'link', 'unlink', 'write'],
    ])
    expect(statSync(path).mode & 0o777).toBe(0o644)
    expect(statSync(path).nlink).toBe(1)
    expect(readFileSync(path, 'utf8')).toBe(startedLine(0))
    expect(readdirSync(dir.path('.')).sort()).toEqual(['exec.log', 'trace'])
  })

  itWithStrace('makes a file whose name leaves no room for another one, too', async () => {
    const path = dir.path('n'.repeat(255))
    await record(path, 'link', { umask: 0o077, options: { fileMode: 0o644 } })
    expect(statSync(path).mode & 0o777).toBe(0o644)
  })

  itWithStrace('makes a file by one call if the umask takes nothing away', async () => {
    const path = dir.path('exec.log')
    const calls = await record(path, 'link,linkat,fchmod', { umask: 0o077 })
    expect(calls.filter((call) => call.includes(path))).toEqual([])
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })
})
