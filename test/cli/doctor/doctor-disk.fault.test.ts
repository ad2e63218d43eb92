import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { mountFaults } from '../../../src/cli/doctor/disk-checks'
import { runCli } from '../../support/cli'
import { badOf, untried } from '../../support/doctor'
import { useExt4Disk } from '../../support/ext4-disk'
import { itWithMounts, privileged, unmount } from '../../support/privileged'
import { itWithStrace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

let mounted = ''
// Before the folder's own clean-up, which is registered next: hooks run in that order.
afterEach(() => unmount(mounted))
const dir = useTempDir()

describe('doctor, on memory', () => {
  const mountTmpfs = (options: string) => {
    mounted = dir.path('memory')
    mkdirSync(mounted, { mode: 0o700 })
    privileged('mount', '-t', 'tmpfs', '-o', `${options},mode=700`, 'tmpfs', mounted)
  }
  const memory = () =>
    `fail file system: tmpfs on tmpfs at ${mounted}, which is memory: nothing there survives a power cut $ findmnt -t ext4,xfs,btrfs # and put the log on one of these`
  const noRoom = () => `df -h ${mounted} && df -i ${mounted} # and free what is used up`

  itWithMounts('reports it once, and does not measure it', async () => {
    mountTmpfs('size=2g')
    const log = `${mounted}/exec.log`
    expect(await badOf(log)).toEqual({ code: 1, bad: [memory()] })
    const { stdout } = await runCli(['doctor', log])
    expect(stdout).toMatch(/\nok {4}sync {9}fdatasync .*, into memory\nok {4}round trip /)
  })

  itWithMounts('reports it even if it is read-only', async () => {
    mountTmpfs('ro')
    const { bad } = await badOf(`${mounted}/exec.log`)
    const [found, remedies] = memory().split(' $ ')
    expect(bad[0]).toBe(
      `${found}; tmpfs on tmpfs at ${mounted} is mounted read-only $ ${remedies}\nsudo mount -o remount,rw ${mounted} # in a container: put the log on a volume`,
    )
  })

  it('reports a file system without files, and one without room', async () => {
    const ours =
      "fail file system: proc on proc at /proc, which is the kernel's own and holds no files"
    const failed =
      "ENOENT: no such file or directory, mkdtemp '/proc/.x0x-exec-audit-doctor-XXXXXX'"
    expect(await badOf('/proc/exec.log')).toEqual({
      code: 1,
      bad: [
        `${ours} $ findmnt -t ext4,xfs,btrfs # and put the log on one of these`,
        `fail writable: its folder /proc takes no new files: ${failed} $ undefined`,
        ...untried('no file can be made in /proc'),
      ],
    })
  })

  itWithMounts('reports a full disk', async () => {
    mountTmpfs('size=1m')
    writeFileSync(`${mounted}/fill`, Buffer.alloc(2 ** 20))
    const { code, bad } = await badOf(`${mounted}/exec.log`)
    const full = 'ENOSPC: no space left on device, write; free space or inodes on the file system'
    expect(bad).toEqual([
      memory(),
      `fail space: 0 B free (0 %); a quota is not seen here $ df -h ${mounted}`,
      `fail append: ${full} $ ${noRoom()}`,
      `fail sync: ${full} $ ${noRoom()}`,
      expect.stringMatching(
        /^fail round trip: cannot write to the log .*\/exec\.log: ENOSPC: no space left on device; free space or inodes on the file system \$ df /,
      ),
    ])
    expect(code).toBe(1)
    expect(readdirSync(mounted)).toEqual(['fill'])
  })

  itWithMounts('reports a disk without inodes', async () => {
    mountTmpfs('size=2g,nr_inodes=2')
    writeFileSync(`${mounted}/last`, '')
    const { code, bad } = await badOf(`${mounted}/exec.log`)
    expect(bad).toEqual([
      memory(),
      `fail inodes: 0 free $ df -i ${mounted}`,
      `fail writable: its folder ${mounted} takes no new files: ENOSPC: no space left on device, mkdtemp '${mounted}/.x0x-exec-audit-doctor-XXXXXX'; free space or inodes on the file system $ ${noRoom()}`,
      ...untried(`no file can be made in ${mounted}`),
    ])
    expect(code).toBe(1)
  })
})

describe('doctor, on a disk of its own', () => {
  const ext4 = useExt4Disk()
  let frozen = ''
  const thaw = () => {
    if (frozen !== '') privileged('fsfreeze', '-u', frozen)
    frozen = ''
  }
  // Also where the test fails: nothing that waits for the disk can be killed.
  afterEach(thaw)
  const log = () => `${ext4.folder()}/exec.log`

  itWithMounts('reports one that is read-only', async () => {
    writeFileSync(log(), '', { mode: 0o600 })
    const folder = ext4.folder()
    privileged('mount', '-o', 'remount,ro', folder)
    const missing = `${folder}/a/exec.log`
    const [{ code, bad }, absent] = await Promise.all([badOf(log()), badOf(missing)]).finally(() =>
      privileged('mount', '-o', 'remount,rw', folder),
    )
    const volume = '# in a container: put the log on a volume'
    const readOnly = expect.stringMatching(
      /^fail file system: ext4 on \/dev\/loop\d+ at .* is mounted read-only \$ sudo mount -o remount,rw \S+ # in a container: put the log on a volume$/,
    )
    const remedy = `sudo mount -o remount,rw "$(findmnt -n -o TARGET -T`
    const why = 'the file system is read-only; see the kernel log for the reason'
    expect(bad.slice(0, 2)).toEqual([
      readOnly,
      `fail writable: the log cannot be opened: EROFS: read-only file system, open '${log()}'; ${why}; its folder ${folder} takes no new files: EROFS: read-only file system, mkdtemp '${folder}/.x0x-exec-audit-doctor-XXXXXX'; ${why} $ ${remedy} ${log()})" ${volume}\n${remedy} ${folder})" ${volume}`,
    ])
    expect(bad.length).toBe(5)
    expect([code, absent]).toEqual([
      1,
      {
        code: 1,
        bad: [
          readOnly,
          `warn folder: ${folder}/a is not there, and cannot be made on this file system $ undefined`,
          `warn writable: not tried, since ${folder}/a is not there $ undefined`,
          ...untried(`${folder}/a is not there`),
        ],
      },
    ])
  })

  it('says that one has become read-only after an error, and not to write to it as it is', () => {
    expect(
      mountFaults('ext4 on /dev/vdb at /log', ['rw', 'relatime', 'emergency_ro'], '/log'),
    ).toEqual([
      {
        status: 'fail',
        found: 'ext4 on /dev/vdb at /log has become read-only after an error',
        remedy:
          'sudo dmesg | grep -i error # then unmount it, check it by fsck, and mount it again',
      },
    ])
  })

  itWithMounts('does not hang with one that hangs, and is gone when that goes on', async () => {
    const folder = ext4.folder()
    privileged('fsfreeze', '-f', folder)
    frozen = folder
    const { code, bad } = await badOf(log(), [], ['--timeout', '9'])
    thaw()
    expect(bad).toEqual([
      'fail writable: no answer within 9 s: the disk hangs $ sudo dmesg | tail # and look at the disk',
      ...untried('the one before has no end'),
    ])
    await until('something is left', () => readdirSync(folder).length === 0)
    expect(code).toBe(1)
  })

  itWithMounts('tells of limits that are too low', async () => {
    writeFileSync(log(), 'x\n'.repeat(500), { mode: 0o600 })
    const limits = ['prlimit', '--fsize=1000', '--nofile=256', '--']
    const { code, bad } = await badOf(log(), limits)
    expect(bad[0]).toBe(
      'fail limits: 256 open files at most, of which a gateway may need more; a file may have 1000 bytes, and the log has 1000: nothing can be written $ ulimit -n 1024\nulimit -f unlimited',
    )
    expect(code).toBe(1)
  })

  itWithMounts('reports a rule that truncates the log', async () => {
    const rules = dir.path('rules')
    mkdirSync(rules)
    writeFileSync(`${rules}/gateway`, `${ext4.folder()}/*.log {\n  weekly\n  copytruncate\n}\n`)
    const bind = `mount --bind ${rules} /etc/logrotate.d && exec "$@"`
    const make = ['unshare', '--mount', 'sh', '-c', `mkdir -p /etc/logrotate.d && ${bind}`, 'sh']
    expect(await badOf(log(), make)).toEqual({
      code: 0,
      bad: [
        "warn rotation: /etc/logrotate.d/gateway rotates it by copytruncate, which loses the lines written while it copies; the writer follows a rename by itself $ sudo sed -i '/^\\s*copytruncate/d' /etc/logrotate.d/gateway",
      ],
    })
  })

  itWithMounts("warns of a container's layer", async () => {
    const at = (name: string) => `${ext4.folder()}/${name}`
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(at(name), { mode: 0o700 })
    mounted = at('merged')
    const options = `lowerdir=${at('lower')},upperdir=${at('upper')},workdir=${at('work')}`
    privileged('mount', '-t', 'overlay', '-o', options, 'overlay', mounted)
    expect(await badOf(`${mounted}/exec.log`)).toEqual({
      code: 0,
      bad: [
        `warn file system: overlay on overlay at ${mounted}: a container's own layer, which goes with the container: put the log on a volume $ x0x-exec-audit tune --dir ${mounted}`,
      ],
    })
    unmount(mounted)
  })

  itWithStrace('passes on the error of a disk', async () => {
    const wrapper = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'inject=fdatasync:error=EIO']
    const path = dir.path('exec.log')
    const { code, bad } = await badOf(path, wrapper)
    const remedy = 'sudo dmesg --level=err # and replace the disk'
    expect(bad.filter((text) => text.startsWith('fail'))).toEqual([
      `fail sync: EIO: i/o error, fdatasync; the disk reports errors; see the kernel log $ ${remedy}`,
      expect.stringMatching(
        /^fail round trip: cannot sync the log .*: EIO: i\/o error; the disk reports errors; see the kernel log \$ sudo dmesg /,
      ),
    ])
    expect(code).toBe(1)
  })
})

describe('doctor, if /proc cannot be read', () => {
  itWithMounts('says which facts are unknown for that, and how to change it', async () => {
    const hidden = [
      'unshare',
      '--mount',
      'sh',
      '-c',
      'mount -t tmpfs none /proc && exec "$@"',
      'sh',
    ]
    const { code, bad } = await badOf(dir.path('exec.log'), hidden)
    const remedy = 'sudo mount -t proc proc /proc # in a container: start it with /proc'
    expect(bad).toEqual([
      `warn limits: the limits is unknown, since /proc/self/limits cannot be read (ENOENT) $ ${remedy}`,
      `warn file system: the file system is unknown, since /proc/self/mountinfo cannot be read (ENOENT) $ ${remedy}`,
    ])
    expect(code).toBe(0)
  })
})

describe("doctor, under Node's permission model", () => {
  const FLAG = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission'
  const under = (flags: string) => [
    'env',
    `NODE_OPTIONS=${FLAG} --no-warnings --allow-fs-read=* ${flags}`,
  ]

  it('says what is not allowed, and what to allow', async () => {
    const log = dir.path('exec.log')
    const { code, bad } = await badOf(log, under(''))
    expect(bad.slice(0, 2)).toEqual([
      "warn time limit: the permission model of Node forbids a process of the doctor's own, so a disk that hangs holds it $ node --allow-child-process",
      `fail permissions: the permission model of Node forbids writing the log, and a thread, without which nothing is synced $ node --allow-fs-write=${dirname(log)} --allow-worker`,
    ])
    expect(code).toBe(1)
  })

  it('works if all is allowed that the gateway needs', async () => {
    const flags = '--allow-fs-write=* --allow-worker --allow-child-process'
    const { code, bad } = await badOf(dir.path('exec.log'), under(flags))
    expect([code, bad.filter((text) => text.startsWith('fail'))]).toEqual([0, []])
  })
})
