import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { initSeal } from '../../../src/seal/sealer/open-sealer'
import type { ResolvedPlace } from '../../../src/seal/sealer/seal-options'
import { runCli, startCli } from '../../support/cli'
import { itWithMounts, privileged, unmount } from '../../support/privileged'
import {
  findingsOf,
  newPlace,
  placeOptions,
  sealedLeaves,
  unequal,
} from '../../support/seal/sealer-place'
import { endStrace, itWithStrace, strace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

const BLOCK = 4_096

describe('a sealer in trouble', () => {
  afterEach(() => {
    unmount(dir.path('mounted'))
    unmount(dir.path('storage'))
  })
  const dir = useTempDir()

  const init = async (log?: string) => {
    const place = newPlace(dir.path('.'), log)
    await initSeal(place)
    return place
  }
  const start = (place: ResolvedPlace, wrapper: readonly string[] = []) =>
    startCli(['seal', ...placeOptions(place), '--interval', '100ms'], '', wrapper)
  const once = (place: ResolvedPlace) => runCli(['seal', '--once', ...placeOptions(place)])
  const untilSealed = (place: ResolvedPlace, lines: number) =>
    until(`not ${lines} lines are sealed`, () => sealedLeaves(place).length === lines)

  /** A log on an ext4 disk whose own storage is full once `fill` has been called. */
  const mountDiskThatFills = () => {
    const storage = dir.path('storage')
    mkdirSync(storage)
    mkdirSync(dir.path('mounted'))
    privileged('mount', '-t', 'tmpfs', '-o', 'size=4m,mode=700', 'tmpfs', storage)
    privileged('truncate', '-s', '64M', join(storage, 'image'))
    privileged(
      'mkfs.ext4',
      '-q',
      '-F',
      '-b',
      `${BLOCK}`,
      '-O',
      '^has_journal',
      join(storage, 'image'),
    )
    privileged('mount', '-o', 'loop', join(storage, 'image'), dir.path('mounted'))
    privileged('chmod', '0700', dir.path('mounted'))
    const fill = () =>
      expect(() => writeFileSync(join(storage, 'fill'), Buffer.alloc(2 ** 23))).toThrow('ENOSPC')
    return { log: dir.path('mounted/exec.log'), fill }
  }

  it('leaves the folder to the one that runs, and takes it over from one that was killed', async () => {
    const place = await init()
    writeFileSync(place.log, 'a\n')
    const first = start(place)
    await untilSealed(place, 1)
    expect(statSync(join(place.seal, 'sealer.sock')).mode & 0o777).toBe(0o600)
    expect(await once(place)).toEqual({
      code: 3,
      stdout: '',
      stderr: `x0x-exec-audit: another sealer holds ${place.seal}; only one can seal a log\n`,
    })
    first.child.kill('SIGKILL')
    await first.end
    appendFileSync(place.log, 'b\n')
    expect(await once(place)).toMatchObject({ code: 0, stderr: '' })
    expect(unequal(place)).toEqual([])
    expect(await findingsOf(place)).toEqual([])
  })

  it('seals what has come when it is ended by SIGTERM', async () => {
    const place = await init()
    const sealer = start(place)
    await until('it does not start', () => sealer.output.stderr.includes('sealing'))
    writeFileSync(place.log, 'a\nb\n')
    sealer.child.kill('SIGTERM')
    expect((await sealer.end).code).toBe(0)
    expect(sealedLeaves(place).length).toBe(2)
  })

  it('misses nothing of rotations while it is stopped, late groups included', async () => {
    const place = await init()
    writeFileSync(place.log, 'a\n')
    const sealer = start(place)
    await untilSealed(place, 1)
    sealer.child.kill('SIGSTOP')
    for (let i = 0; i < 3; i++) {
      for (const n of [2, 1]) {
        execFileSync('sh', [
          '-c',
          `[ ! -e "$1.${n}" ] || mv "$1.${n}" "$1.${n + 1}"`,
          'sh',
          place.log,
        ])
      }
      renameSync(place.log, `${place.log}.1`)
      writeFileSync(place.log, `first of ${i}\n`)
      appendFileSync(`${place.log}.1`, `late ${i}\n`)
    }
    execFileSync('gzip', [`${place.log}.2`])
    sealer.child.kill('SIGCONT')
    await untilSealed(place, 7)
    appendFileSync(`${place.log}.1`, 'later still\n')
    await untilSealed(place, 8)
    expect(unequal(place)).toEqual([])
    expect(await findingsOf(place)).toEqual([])
  })

  itWithStrace('signs nothing while the sync of the log fails, and then all of it', async () => {
    const place = await init()
    writeFileSync(place.log, 'a\n')
    const sealer = start(place, strace(place.log, 'fdatasync:error=EIO:when=1..2'))
    await untilSealed(place, 1)
    expect(sealer.output.stderr).toMatch(/failed: EIO: i\/o error, fdatasync\n/)
    endStrace(sealer.child)
    expect(unequal(place)).toEqual([])
    expect(await findingsOf(place)).toEqual([])
  })

  itWithMounts('signs no line that only memory has, after a sync that failed', async () => {
    const { log, fill } = mountDiskThatFills()
    const place = newPlace(dir.path('.'), log)
    await initSeal(place)
    writeFileSync(log, `${'a'.repeat(BLOCK - 1)}\n`)
    const sealer = start(place)
    await untilSealed(place, 1)
    fill()
    // The page cache has room for it; the disk has not.
    appendFileSync(log, `${'b'.repeat(8 * BLOCK)}\n`)
    const lost = `failed: ${log} has bytes from ${BLOCK} on in memory alone, since a sync has failed; copy it`
    await until('it signs', () => sealer.output.stderr.includes(lost))
    expect(sealer.output.stderr).toMatch(/failed: (EIO|ENOSPC): .*, fdatasync\n/)
    sealer.child.kill('SIGTERM')
    await sealer.end
    // A new sealer's first sync of the file succeeds.
    expect((await once(place)).stderr).toContain(lost)
    expect(sealedLeaves(place).length).toBe(1)
    expect(await findingsOf(place)).toEqual([])
  })

  itWithMounts('signs nothing after a failed sync where no disk can be asked', async () => {
    mkdirSync(dir.path('mounted'))
    privileged('mount', '-t', 'tmpfs', '-o', 'size=256k,mode=700', 'tmpfs', dir.path('mounted'))
    const place = newPlace(dir.path('.'), dir.path('mounted/exec.log'))
    await initSeal(place)
    writeFileSync(place.log, 'a\n')
    const boot = readFileSync('/proc/sys/kernel/random/boot_id')
    writeFileSync(join(place.seal, 'failed-sync'), boot)
    expect((await once(place)).stderr).toContain(
      `a sync of ${place.log} has failed, and its file system cannot tell what is on the disk; restart`,
    )
    writeFileSync(join(place.seal, 'failed-sync'), 'another boot\n')
    expect(await once(place)).toMatchObject({ code: 0, stderr: '' })
    expect(sealedLeaves(place).length).toBe(1)
  })

  itWithMounts('pauses on a full disk, and seals on once there is room', async () => {
    const log = dir.path('exec.log')
    mkdirSync(dir.path('mounted'))
    privileged('mount', '-t', 'tmpfs', '-o', 'size=256k,mode=700', 'tmpfs', dir.path('mounted'))
    const place = { ...newPlace(dir.path('.'), log), seal: dir.path('mounted/seal') }
    await initSeal(place)
    writeFileSync(log, 'a\n')
    const sealer = start(place)
    await untilSealed(place, 1)
    const room = Buffer.alloc(1_024)
    const fill = dir.path('mounted/fill')
    const isFull = () => {
      try {
        appendFileSync(fill, room)
        return false
      } catch {
        return true
      }
    }
    for (let full = false; !full; ) full = isFull()
    appendFileSync(log, 'b\n')
    await until('it does not report', () => sealer.output.stderr.includes('failed: ENOSPC'))
    appendFileSync(log, 'c\n')
    expect(sealedLeaves(place).length).toBe(1)
    rmSync(fill)
    await untilSealed(place, 3)
    expect(unequal(place)).toEqual([])
    expect(await findingsOf(place)).toEqual([])
  })

  itWithMounts('follows a log on a volume with inode numbers of its own', async () => {
    for (const name of ['source', 'mounted']) mkdirSync(dir.path(name))
    execFileSync('bindfs', [dir.path('source'), dir.path('mounted')])
    const place = await init(dir.path('mounted/exec.log'))
    writeFileSync(place.log, 'a\n')
    const sealer = start(place)
    await untilSealed(place, 1)
    renameSync(place.log, `${place.log}.1`)
    writeFileSync(place.log, 'b\n')
    appendFileSync(`${place.log}.1`, 'late\n')
    await untilSealed(place, 3)
    // Below the mount, which it does not see at once.
    renameSync(dir.path('source/exec.log.1'), dir.path('source/exec.log.2'))
    renameSync(dir.path('source/exec.log'), dir.path('source/exec.log.1'))
    writeFileSync(dir.path('source/exec.log'), 'c\n')
    await untilSealed(place, 4)
    sealer.child.kill('SIGTERM')
    await sealer.end
    expect((await once(place)).code).toBe(0)
    expect(unequal(place)).toEqual([])
    expect(await findingsOf(place)).toEqual([])
  })

  describe('refuses, by name,', () => {
    const refused = async (place: ResolvedPlace) => {
      const before = readFileSync(join(place.seal, 'checkpoint'), 'utf8')
      const end = await once(place)
      expect(readFileSync(join(place.seal, 'checkpoint'), 'utf8')).toBe(before)
      expect(end.stdout).toBe('')
      return { code: end.code, text: end.stderr.replaceAll(dir.path('.'), 'DIR') }
    }

    it.each<[string, (log: string) => void, string]>([
      [
        'a link',
        (log) => symlinkSync('other', log),
        'DIR/exec.log is a symbolic link; name the log itself',
      ],
      [
        'a FIFO',
        (log) => void execFileSync('mkfifo', [log]),
        'DIR/exec.log is a FIFO, and no regular file; remove it',
      ],
      [
        'a folder',
        (log) => mkdirSync(log),
        'DIR/exec.log is a folder, and no regular file; remove it',
      ],
      [
        'a file of zstd',
        (log) => writeFileSync(log, Buffer.of(0x28, 0xb5, 0x2f, 0xfd)),
        'DIR/exec.log is compressed by zstd, which is not read; use zstdcat to unpack it, or let logrotate use gzip',
      ],
    ])('%s in place of the log', async (_, make, reason) => {
      const place = await init()
      make(place.log)
      expect(await refused(place)).toEqual({
        code: 1,
        text: `x0x-exec-audit: nothing is signed: ${reason}\n`,
      })
    })

    it('a log with a second name', async () => {
      const place = await init()
      writeFileSync(place.log, 'a\n')
      linkSync(place.log, dir.path('other'))
      const { ino } = statSync(place.log)
      expect(await refused(place)).toEqual({
        code: 1,
        text: `x0x-exec-audit: nothing is signed: DIR/exec.log has 2 names (hard links), so another name leads into it; remove the others: find / -xdev -inum ${ino}\n`,
      })
    })

    it('a line that was changed, and a log that was cut, while it did not run', async () => {
      const place = await init()
      writeFileSync(place.log, 'a\nb\nc\n')
      expect((await once(place)).code).toBe(0)
      writeFileSync(place.log, 'a\nB\nc\n')
      const remedy =
        'if a backup was restored, or you know who did it: x0x-exec-audit seal reanchor --reason TEXT'
      expect(await refused(place)).toEqual({
        code: 1,
        text: `x0x-exec-audit: DIR/exec.log: the line of index 1, at byte 2, is not the one that was sealed; ${remedy}\n`,
      })
      writeFileSync(place.log, 'a\n')
      expect(await refused(place)).toEqual({
        code: 1,
        text: `x0x-exec-audit: DIR/exec.log ends at byte 2, and the indexes 1 to 2 that were sealed are missing; ${remedy}\n`,
      })
    })

    it('a checkpoint and a tile that were changed, and an older folder', async () => {
      const place = await init()
      writeFileSync(place.log, 'a\n')
      execFileSync('cp', ['-a', place.seal, dir.path('older')])
      expect((await once(place)).code).toBe(0)
      execFileSync('cp', ['-a', place.seal, dir.path('newer')])
      const tile = join(place.seal, 'tile/0/000.p/1')
      writeFileSync(tile, Buffer.alloc(32))
      const remedy =
        'restore the newer one, or begin anew with: x0x-exec-audit seal reanchor --reason TEXT'
      expect(await refused(place)).toEqual({
        code: 1,
        text: `x0x-exec-audit: DIR/seal/checkpoint: the tiles in DIR/seal do not make its root of 1 lines; ${remedy}\n`,
      })
      rmSync(place.seal, { recursive: true })
      renameSync(dir.path('older'), place.seal)
      expect(await refused(place)).toEqual({
        code: 1,
        text: `x0x-exec-audit: DIR/seal/checkpoint does not extend DIR/key.last: the tiles in DIR/seal do not make its root of 1 lines (DIR/seal/tile/0/000.p/1 is not there); ${remedy}\n`,
      })
      rmSync(place.seal, { recursive: true })
      renameSync(dir.path('newer'), place.seal)
      const text = readFileSync(join(place.seal, 'checkpoint'), 'utf8')
      writeFileSync(join(place.seal, 'checkpoint'), text.replace('\n1\n', '\n2\n'))
      expect(await refused(place)).toEqual({
        code: 1,
        text: 'x0x-exec-audit: DIR/seal/checkpoint: the signature of gw1.example.com/exec is wrong\n',
      })
    })

    it("a seal's folder that is a link, or that others may write to, and a key that others may read", async () => {
      const place = await init()
      chmodSync(place.seal, 0o770)
      expect(await refused(place)).toEqual({
        code: 1,
        text: 'x0x-exec-audit: DIR/seal can be written by others; if nobody did: chmod go-w DIR/seal\n',
      })
      renameSync(place.seal, dir.path('real'))
      symlinkSync('real', place.seal)
      expect(await refused(place)).toEqual({
        code: 1,
        text: 'x0x-exec-audit: DIR/seal is a symbolic link; name the folder itself\n',
      })
      chmodSync(dir.path('key.pem'), 0o640)
      const { code, text } = await refused(place)
      expect(code).toBe(1)
      expect(text).toMatch(/^x0x-exec-audit: DIR\/key\.pem: .*\(mode 0640\): chmod 600 it/)
    })
  })
})
