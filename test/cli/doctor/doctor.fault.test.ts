import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { runCli, startCli } from '../../support/cli'
import { startedLine } from '../../support/events'
import { useExt4Disk } from '../../support/ext4-disk'
import { itWithMounts, privileged } from '../../support/privileged'
import { itWithStrace } from '../../support/strace'
import { until } from '../../support/waiting'

const STRANGER = 65_534
const nameOf = (uid: string) => execFileSync('id', ['-un', uid], { encoding: 'utf8' }).trim()
const USER = execFileSync('id', ['-un'], { encoding: 'utf8' }).trim()

const ext4 = useExt4Disk()
let disk = ''
beforeEach(() => {
  disk = ext4.folder()
})
const log = () => `${disk}/exec.log`

const NO_RULE =
  'warn rotation: no rule of logrotate that this user may read names it, so it grows until the disk is full, unless something else rotates it\n      $ # the manual (docs/operations.md, Rotation) has a rule for logrotate\n'

/** What is found of the log and its disk, with figures that are the machine's replaced by #. */
async function examined(args: readonly string[] = [], wrapper: readonly string[] = []) {
  const { code, stdout, stderr } = await runCli(['doctor', '--log', log(), ...args], '', wrapper)
  expect(stderr).toBe('')
  const text = stdout
    .replaceAll(disk, 'DISK')
    .replace(/\/dev\/loop\d+/g, 'LOOP')
    .replace(/[\d.,]+ (µs|ms|s)\b/g, '# ms')
    .replace(/[\d.]+ (MiB|GiB) free \(\d+ %\)/g, '# $1 free')
    .replace(/\d+ free$/m, '# free')
  const findings = [...text.matchAll(/^(ok|warn|fail) {2,4}(.{12}) (.*\n(?: {6}\$ .*\n)*)/gm)].map(
    ([, status = '', check = '', found = '']) => `${status} ${check.trim()}: ${found}`,
  )
  // The first six are of the machine, and a disk may be as fast as it likes.
  const ofLog = findings.slice(6).filter((text) => !/^\w+ sync: fdatasync /.test(text))
  const bad = ofLog.filter((text) => !text.startsWith('ok') && text !== NO_RULE)
  return { code, all: ofLog, bad }
}

describe('doctor, on a disk that is well', () => {
  itWithMounts('finds a log well, leaves it as it is, and nothing beside it', async () => {
    writeFileSync(log(), startedLine(1), { mode: 0o600 })
    const stateOf = () => {
      const { ino, size, mode, mtimeNs, ctimeNs } = statSync(log(), { bigint: true })
      return { ino, size, mode, mtimeNs, ctimeNs }
    }
    const before = stateOf()
    const { code, all } = await examined()
    expect(all.map((text) => text.replace(/write cache: .*/, 'write cache: #'))).toEqual([
      NO_RULE,
      'ok file system: ext4 on LOOP at DISK\n',
      'ok folder: DISK, owner root, mode 0700\n',
      `ok log: DISK/exec.log, owner root, mode 0600, ${startedLine(1).length} bytes\n`,
      'ok tail: the log ends with a whole line\n',
      'ok write cache: #\n',
      'ok space: # GiB free; a quota is not seen here\n',
      'ok inodes: # free\n',
      'ok writable: the log opens for appending; its folder takes new files\n',
      'ok append: O_APPEND adds at the end, also beside another writer\n',
      'ok round trip: an event is durable and read back in # ms, the first after # ms\n',
    ])
    expect(code).toBe(0)
    expect(readdirSync(disk)).toEqual(['exec.log'])
    expect(stateOf()).toEqual(before)
  })

  itWithMounts('makes no folder that is not there, and says what will happen', async () => {
    const { code, stdout } = await runCli(['doctor', '--log', `${disk}/a/b/exec.log`, '--json'])
    const { version, command, status, findings } = JSON.parse(stdout)
    expect([code, version, command, status]).toEqual([0, 1, 'doctor', 'warn'])
    const bad = findings.filter(
      (one: { status: string; check: string }) => one.status !== 'ok' && one.check !== 'rotation',
    )
    expect(bad).toEqual([
      {
        check: 'folder',
        status: 'warn',
        found: `${disk}/a/b is not there; the first event makes it, mode 0700`,
        remedy: `mkdir -p -m 0700 ${disk}/a/b`,
      },
      ...['writable', 'append', 'sync', 'round trip'].map((check) => ({
        check,
        status: 'warn',
        found: `not tried, since ${disk}/a/b is not there`,
      })),
    ])
    expect(readdirSync(disk)).toEqual([])
  })

  itWithMounts('removes what it has made when it is killed', async () => {
    const { child, end } = startCli(['doctor', '--log', log()])
    await until('nothing is tried', () => child.exitCode !== null || readdirSync(disk).length > 0)
    child.kill('SIGKILL')
    await end
    await until('something is left', () => readdirSync(disk).length === 0)
  })
})

const OWNER_REMEDY = `sudo chown ${USER} DISK`

describe('doctor, with something wrong at the path', () => {
  const NO_FILE = 'fail writable: there is no file to write to\n'
  const cases: [string, () => void, number, string[]][] = [
    [
      'a symbolic link',
      () => symlinkSync('other.log', log()),
      1,
      [
        'fail log: DISK/exec.log is a symbolic link, which is never followed\n      $ realpath DISK/exec.log # and name that file\n',
        NO_FILE,
      ],
    ],
    [
      'a FIFO',
      () => privileged('mkfifo', log()),
      1,
      [
        'fail log: DISK/exec.log is a FIFO, not a regular file\n      $ mv DISK/exec.log DISK/exec.log.old\n',
        NO_FILE,
      ],
    ],
    [
      'a folder',
      () => mkdirSync(log()),
      1,
      [
        'fail log: DISK/exec.log is a folder, not a regular file\n      $ mv DISK/exec.log DISK/exec.log.old\n',
        NO_FILE,
      ],
    ],
    [
      'a folder and a log that all may write to',
      () => {
        writeFileSync(log(), '')
        chmodSync(log(), 0o666)
        chmodSync(disk, 0o777)
      },
      0,
      [
        'warn folder: DISK, owner root, mode 0777: others may write to its folder DISK, and so replace the file; take that from them (chmod go-w), or grant it by dirMode\n      $ chmod 700 DISK\n',
        'warn log: DISK/exec.log, owner root, mode 0666, 0 bytes: others may write to the file; take that from them (chmod go-w), or grant it by fileMode\n      $ chmod 600 DISK/exec.log\n',
      ],
    ],
    [
      "another user's file and folder, and a second name",
      () => {
        writeFileSync(log(), '', { mode: 0o600 })
        linkSync(log(), `${disk}/second`)
        chownSync(log(), STRANGER, STRANGER)
        chownSync(disk, STRANGER, STRANGER)
      },
      0,
      [
        `warn folder: DISK, owner ${nameOf(`${STRANGER}`)}, mode 0700: its folder DISK belongs to another user, who can replace the file; chown the folder\n      $ ${OWNER_REMEDY}\n`,
        `warn log: DISK/exec.log, owner ${nameOf(`${STRANGER}`)}, mode 0600, 0 bytes: the file has another name (a hard link), so its lines may also land where no log should be; remove the other name; the file belongs to another user, who can rewrite it; chown it\n      $ find / -xdev -samefile DISK/exec.log # and remove the other name\n      $ ${OWNER_REMEDY}/exec.log\n`,
      ],
    ],
    [
      'a torn line',
      () => writeFileSync(log(), `${startedLine(1)}{"event":"star`, { mode: 0o600 }),
      0,
      [
        'warn tail: the log ends with a torn line of 14 bytes; the first event closes it with a newline\n      $ tail -c 14 DISK/exec.log\n',
      ],
    ],
  ]
  itWithMounts.each(cases)('tells of %s', async (_, make, code, lines) => {
    make()
    const names = readdirSync(disk)
    expect(await examined()).toMatchObject({ code, bad: lines })
    expect(readdirSync(disk)).toEqual(names)
  })

  itWithMounts('tells of a log and a folder that nothing may change', async () => {
    writeFileSync(log(), '', { mode: 0o600 })
    privileged('chattr', '+i', log(), disk)
    const { code, bad } = await examined()
    privileged('chattr', '-i', disk, log())
    const denied = "EPERM: operation not permitted, mkdtemp 'DISK/.x0x-exec-audit-doctor-XXXXXX'"
    const remedy = 'give this user permission on the file and its folder'
    const folderRemedy = 'give this user permission on the folder'
    expect(bad).toEqual([
      `fail writable: the log cannot be opened: EPERM: operation not permitted, open 'DISK/exec.log'; ${remedy}; its folder DISK takes no new files: ${denied}; ${folderRemedy}\n      $ sudo chattr -i DISK/exec.log\n      $ sudo chattr -ia DISK\n`,
      ...['append', 'sync', 'round trip'].map(
        (check) => `warn ${check}: not tried, since no file can be made in DISK\n`,
      ),
    ])
    expect(code).toBe(1)
  })

  itWithMounts('takes a log that may only grow, and says so', async () => {
    writeFileSync(log(), '', { mode: 0o600 })
    privileged('chattr', '+a', log())
    const { code, all } = await examined()
    privileged('chattr', '-a', log())
    expect(all).toContain(
      'ok writable: the log opens for appending alone (chattr +a), so whatever rotates it must lift that; its folder takes new files\n',
    )
    expect(code).toBe(0)
  })

  itWithMounts('reports a folder whose new files cannot be removed', async () => {
    privileged('chattr', '+a', disk)
    const { code, bad } = await examined()
    const [left = ''] = readdirSync(disk)
    privileged('chattr', '-a', disk)
    expect(left).toMatch(/^\.x0x-exec-audit-doctor-/)
    // The error's own words are not the same in every Node.
    expect(bad.map((text) => text.replace(/(EPERM).*(?=; give)/, '$1'))).toEqual([
      `fail cleaning up: what was made for the checks cannot be removed: EPERM; give this user permission on the folder\n      $ sudo chattr -a DISK && rm -r DISK/.x0x-exec-audit-doctor-*\n`,
    ])
    expect(code).toBe(1)
  })
})

describe('doctor, beside the writer', () => {
  itWithStrace('opens the log with the flags of the writer', async () => {
    writeFileSync(log(), startedLine(1), { mode: 0o600 })
    const flagsOf = async (args: readonly string[]) => {
      const trace = `${disk}/trace`
      await runCli(args, '', [
        'strace',
        '-f',
        '-qq',
        '-o',
        trace,
        '-e',
        'trace=openat',
        '-P',
        log(),
      ])
      const calls = readFileSync(trace, 'utf8').matchAll(/, ([A-Z_|]*O_APPEND[A-Z_|]*)/g)
      return [...new Set([...calls].map(([, flags]) => flags))]
    }
    const written = await flagsOf(['exec', '--log', log(), '--', 'true'])
    expect(written).toHaveLength(1)
    expect(await flagsOf(['doctor', log()])).toEqual(written)
  })
})
