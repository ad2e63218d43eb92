import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { badOf, findingsOf, untried } from '../../support/doctor'
import { itWithMounts } from '../../support/privileged'
import { useTempDir } from '../../support/temp-dir'

const STRANGER = 65_534
/** Root as any other user: what is another's is shut. */
const POWERLESS = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all']

const dir = useTempDir()

/** What is not well, with the name of the folder replaced. */
async function foundBad(log: string, wrapper: readonly string[] = POWERLESS) {
  const { bad } = await badOf(log, wrapper)
  return bad.map((line) => line.replaceAll(dir.path(''), 'DIR'))
}

/** A stranger's folder in the test's own. */
function strange(name: string, mode: number): string {
  const folder = dir.path(name)
  mkdirSync(folder)
  chmodSync(folder, mode)
  chownSync(folder, STRANGER, STRANGER)
  return folder
}

describe('doctor, as a user who may not do what the gateway needs', () => {
  const NEEDS = 'give this user read and write permission on the file'

  itWithMounts.each([
    ['the log itself is in', 'exec.log', 'chown root'],
    ['its folder is in', 'a/exec.log', 'chmod o+x'],
  ])('tells once of a folder that lets nobody in, which %s', async (_, name, command) => {
    const folder = strange('closed', 0o700)
    const closed = 'DIR/closed does not let this user in'
    expect(await foundBad(`${folder}/${name}`)).toEqual([
      `fail folder: ${closed} (owner nobody, mode 0700) $ sudo ${command} DIR/closed # or run this as the gateway's user, if that is nobody`,
      ...untried(closed, 'log', 'tail', 'writable'),
    ])
  })

  itWithMounts('tells once of a log that may not be opened', async () => {
    const log = `${strange('open', 0o777)}/exec.log`
    writeFileSync(log, 'x')
    chmodSync(log, 0o600)
    chownSync(log, STRANGER, STRANGER)
    const bad = await foundBad(log)
    expect(bad.filter((text) => !/^warn (folder|log): /.test(text))).toEqual([
      'warn tail: not tried, since this user may not read the log $ undefined',
      expect.stringMatching(
        /^fail writable: the log cannot be opened: EACCES: .* \$ sudo chown root DIR\/open\/exec.log && chmod 600 DIR\/open\/exec.log$/,
      ),
    ])
    expect(bad[3]).toContain(NEEDS)
  })

  itWithMounts(
    'says how to have a folder of its own, and not to take one that others use',
    async () => {
      const folder = strange('others', 0o755)
      const bad = await foundBad(`${folder}/a/exec.log`)
      expect(bad).toEqual([
        'fail folder: DIR/others/a is not there, and DIR/others does not let this user make it (EACCES) $ sudo install -d -m 0700 -o root DIR/others/a',
        ...untried('DIR/others/a is not there', 'writable'),
      ])
      // Of which this user is not the owner, so that it is the stranger's like any other here.
      const bound = [
        'unshare',
        '--mount',
        'sh',
        '-c',
        `mount --bind ${folder} /srv && exec "$@"`,
        'sh',
      ]
      const [, refused = ''] = await foundBad('/srv/exec.log', [...bound, ...POWERLESS])
      expect(refused).toMatch(
        /^fail writable: its folder \/srv takes no new files: EACCES: .* \$ sudo install -d -m 0700 -o root \/srv\/gateway # and put the log there$/,
      )
    },
  )
})

describe("doctor's worker, if the temporary folder takes no file", () => {
  const NO_TMP = ['env', 'TMPDIR=/proc']
  const NO_MEMORY = [
    ...['unshare', '--mount', 'sh', '-c'],
    ...['mount -t tmpfs -o ro none /dev/shm && exec "$@"', 'sh', ...NO_TMP],
  ]
  const STARTS = expect.stringMatching(/^ok worker: the worker starts and drains, in /)
  const ofWorker = async (args: readonly string[], wrapper: readonly string[]) =>
    (await findingsOf(args, wrapper)).lines.find((line) => line.includes(' worker: '))

  it('is tried in memory', async () => {
    expect(await ofWorker([], NO_TMP)).toEqual(STARTS)
  })

  itWithMounts("is tried in the log's folder, where memory takes none either", async () => {
    expect(await ofWorker([dir.path('exec.log')], NO_MEMORY)).toEqual(STARTS)
    expect(readdirSync(dir.path(''))).toEqual([])
  })

  itWithMounts('is not tried where there is no room for it at all', async () => {
    expect(await ofWorker([], NO_MEMORY)).toBe(
      'warn worker: not tried: /proc takes no file (ENOENT); /dev/shm takes no file (EROFS) $ undefined',
    )
  })
})
