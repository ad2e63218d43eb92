import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { gunzipSync } from 'node:zlib'
import { rotateLog } from '../../src'
import { startedEvent, startedLine } from '../support/events'
import { openAudit } from '../support/open-audit'
import { itWithMounts } from '../support/privileged'
import { useTempDir } from '../support/temp-dir'

const dir = useTempDir()
const log = () => dir.path('logs/exec.log')
const names = () => readdirSync(dir.path('logs')).toSorted()
const write = (name: string, text: string) => writeFileSync(dir.path(`logs/${name}`), text)
const DEAD_PID = 2 ** 22 + 1

beforeEach(() => mkdirSync(dir.path('logs'), { mode: 0o700 }))

const NOTHING = { rotated: false, isLocked: false, packed: [], removed: [] }

describe('rotateLog', () => {
  it('renames the log, which the writer follows, and the older ones before it', async () => {
    const { audit } = openAudit(log())
    for (const pid of [1, 2, 3]) {
      await audit.started(startedEvent({ pid }))
      if (pid < 3) await expect(rotateLog(log())).resolves.toMatchObject({ rotated: true })
    }
    expect(names()).toEqual(['exec.log', 'exec.log.1', 'exec.log.2'])
    expect(names().map((name) => readFileSync(dir.path(`logs/${name}`), 'utf8'))).toEqual(
      [3, 2, 1].map(startedLine),
    )
  })

  it('does nothing to a log that is missing, empty, too small or too young', async () => {
    expect(await rotateLog(log())).toEqual({ ...NOTHING, bytes: 0 })
    write('exec.log', '')
    expect(await rotateLog(log())).toEqual({ ...NOTHING, bytes: 0 })
    const line = startedLine(1).replace('"ts_unix_ms":0', `"ts_unix_ms":${Date.now() - 60_000}`)
    write('exec.log', line)
    const bytes = line.length
    expect(await rotateLog(log(), { maxBytes: bytes + 1 })).toEqual({ ...NOTHING, bytes })
    expect(await rotateLog(log(), { maxAgeMs: 3_600_000 })).toEqual({ ...NOTHING, bytes })
    expect(names()).toEqual(['exec.log'])
    const asked = { maxBytes: bytes + 1, maxAgeMs: 59_000 }
    expect(await rotateLog(log(), asked)).toEqual({ ...NOTHING, rotated: true, bytes })
    write('exec.log', line)
    expect((await rotateLog(log(), { maxBytes: bytes })).rotated).toBe(true)
  })

  it('packs from LOG.2 on with the mode of the log, and deletes beyond keep', async () => {
    write('exec.log', 'newest\n')
    write('exec.log.1', 'newer\n')
    write('exec.log.2', 'older\n')
    write('exec.log.2.gz.tmp', 'half of what was killed')
    write('exec.log.3.gz', 'oldest')
    write('exec.log.12345', 'no rotated file')
    write('exec.log-20261101', 'of a logrotate')
    chmodSync(dir.path('logs/exec.log.1'), 0o640)
    expect(await rotateLog(log(), { gzip: true, keep: 3 })).toEqual({
      ...{ rotated: true, isLocked: false, bytes: 7 },
      ...{ packed: ['exec.log.3', 'exec.log.2'], removed: ['exec.log.4.gz'] },
    })
    expect(names()).toEqual([
      ...['exec.log-20261101', 'exec.log.1', 'exec.log.12345'],
      ...['exec.log.2.gz', 'exec.log.3.gz'],
    ])
    const unpacked = (name: string) => String(gunzipSync(readFileSync(dir.path(`logs/${name}`))))
    expect([unpacked('exec.log.2.gz'), unpacked('exec.log.3.gz')]).toEqual(['newer\n', 'older\n'])
    expect(statSync(dir.path('logs/exec.log.2.gz')).mode & 0o777).toBe(0o640)
  })

  it('leaves what stands behind a free number where it is', async () => {
    write('exec.log', 'new\n')
    write('exec.log.1', 'one\n')
    write('exec.log.3', 'three\n')
    await rotateLog(log())
    expect(names().map((name) => readFileSync(dir.path(`logs/${name}`), 'utf8'))).toEqual([
      ...['new\n', 'one\n', 'three\n'],
    ])
  })

  it('does nothing while another process rotates, and takes over from one that has ended', async () => {
    write('exec.log', 'new\n')
    write('exec.log.lock', `${process.ppid} ${hostname()}\n`)
    expect(await rotateLog(log())).toEqual({ ...NOTHING, isLocked: true, bytes: 0 })
    write('exec.log.lock', `${DEAD_PID} another-host\n`)
    expect((await rotateLog(log())).isLocked).toBe(true)
    write('exec.log.lock', `${DEAD_PID} ${hostname()}\n`)
    expect((await rotateLog(log())).rotated).toBe(true)
    expect(names()).toEqual(['exec.log.1'])
    write('exec.log', 'two\n')
    const both = await Promise.all([rotateLog(log()), rotateLog(log())])
    expect(both.map(({ rotated }) => rotated).toSorted()).toEqual([false, true])
  })

  it('refuses a folder that others may write, and a log that is no plain file of one name', async () => {
    write('exec.log', 'new\n')
    chmodSync(dir.path('logs'), 0o770)
    const folder = dir.path('logs')
    await expect(rotateLog(log())).rejects.toThrow(
      `others may write the folder ${folder} (mode 0770); chmod go-w ${folder}`,
    )
    chmodSync(folder, 0o700)
    linkSync(log(), dir.path('logs/other'))
    await expect(rotateLog(log())).rejects.toThrow(
      `${log()} has another name, too (a hard link); remove that`,
    )
    symlinkSync(log(), dir.path('logs/link'))
    await expect(rotateLog(dir.path('logs/link'))).rejects.toThrow(
      `${dir.path('logs/link')} is no plain file; name the log itself`,
    )
    expect(existsSync(`${log()}.lock`)).toBe(false)
  })

  itWithMounts('refuses a folder of another user', async () => {
    write('exec.log', 'new\n')
    chownSync(dir.path('logs'), 65_534, 65_534)
    await expect(rotateLog(log())).rejects.toThrow(
      `the folder ${dir.path('logs')} is another user's (uid 65534); rotate as that user`,
    )
  })

  it.each([
    [{ maxBytes: 0 }, 'maxBytes: expected an integer from 1 to 9007199254740991, got the number 0'],
    [
      { maxAgeMs: 0.5 },
      'maxAgeMs: expected an integer from 1 to 9007199254740991, got the number 0.5',
    ],
    [{ keep: 10_000 }, 'keep: expected an integer from 1 to 9999, got the number 10000'],
  ])('refuses the options %j', async (options, message) => {
    await expect(rotateLog(log(), options)).rejects.toThrow(new RangeError(message))
  })
})
