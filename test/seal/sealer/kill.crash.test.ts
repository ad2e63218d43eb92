import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { initSeal } from '../../../src/seal/sealer/open-sealer'
import { runUntilKilled } from '../../support/children/load-child'
import { runCli, startCli } from '../../support/cli'
import { itWithMounts, privileged, unmount } from '../../support/privileged'
import {
  findingsOf,
  linesOfLog,
  newPlace,
  placeOptions,
  sealedLeaves,
  unequal,
} from '../../support/seal/sealer-place'
import { seededRandom } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'
import { pause, until } from '../../support/waiting'

jest.setTimeout(600_000)

const KILLS = times('SEAL_KILLS', 20, 200)
const CUTS = times('SEAL_CUTS', 4, 20)

describe('SIGKILL of the writer and of the sealer', () => {
  const dir = useTempDir()

  it(`leaves each line sealed once, in ${KILLS} kills of each beside rotations`, async () => {
    const random = seededRandom()
    const place = newPlace(dir.path('.'))
    await initSeal(place)
    let rotations = 0
    const rotate = () => {
      if (!existsSync(place.log)) return
      renameSync(place.log, `${place.log}-20261130-${String(rotations++).padStart(6, '0')}`)
    }
    for (let kill = 0; kill < KILLS; kill++) {
      const sealer = startCli(['seal', ...placeOptions(place), '--interval', '100ms'])
      const killSealer = pause(random() * 600).then(() => sealer.child.kill('SIGKILL'))
      const rotateOnce = pause(random() * 300).then(() => random() < 0.5 && rotate())
      const afterMs = random() * 200
      await runUntilKilled({
        path: place.log,
        from: kill * 1_000_000,
        afterMs,
        rotateEach: Number.NaN,
      })
      await Promise.all([killSealer, rotateOnce, sealer.end])
      expect(sealer.output.stderr.replace(/^x0x-exec-audit: sealing .*\n/, '')).toBe('')
    }
    expect(await runCli(['seal', '--once', ...placeOptions(place)])).toMatchObject({ code: 0 })
    expect(unequal(place)).toEqual([])
    expect(await findingsOf(place)).toEqual([])
    expect(rotations).toBeGreaterThan(0)
    process.stdout.write(`    ${sealedLeaves(place).length} lines, ${rotations} rotations\n`)
  })
})

/*
 * The log and the seal lie on one file system in an image, which is copied while both processes are stopped, as in
 * test/writer/log/power-cut.crash.test.ts: the copy holds what had reached the device.
 */
describe('a power cut beside a sealer', () => {
  let folder = ''
  afterEach(() => {
    for (const mount of ['live', 'after']) unmount(join(folder, mount))
  })
  const dir = useTempDir()
  beforeEach(() => {
    folder = dir.path('.')
  })

  itWithMounts(`leaves no signature over a lost line, and seals on, in ${CUTS} cuts`, async () => {
    const random = seededRandom()
    let sealed = 0
    for (let i = 0; i < CUTS; i++) {
      const [image, copy, live, after] = ['image', 'copy', 'live', 'after'].map(dir.path)
      if (!image || !copy || !live || !after) throw new Error('no paths')
      for (const mount of [live, after]) mkdirSync(mount, { recursive: true })
      privileged('truncate', '-s', '32M', image)
      privileged('mkfs.ext4', '-q', '-F', image)
      privileged('mount', '-o', 'loop', image, live)
      const place = newPlace(live)
      await initSeal(place)
      const sealer = startCli(['seal', ...placeOptions(place), '--interval', '100ms'])
      await until('the sealer does not start', () => sealer.output.stderr.includes('sealing'))
      await runUntilKilled({
        path: place.log,
        from: 0,
        afterMs: 100 + random() * 400,
        atEnd: () => {
          sealer.child.kill('SIGSTOP')
          copyFileSync(image, copy)
          sealer.child.kill('SIGKILL')
        },
      })
      await sealer.end
      privileged('mount', '-o', 'loop', copy, after)
      const there = { ...place, log: join(after, 'exec.log'), seal: join(after, 'seal') }
      const before = sealedLeaves(there).length
      const options = ['--log', there.log, '--seal', there.seal, '--key', join(after, 'key.pem')]
      expect(await runCli(['seal', '--once', ...options])).toMatchObject({ code: 0, stderr: '' })
      expect(unequal(there)).toEqual([])
      expect(await findingsOf(there)).toEqual([])
      expect(linesOfLog(there.log).length).toBeGreaterThanOrEqual(before)
      sealed += before
      for (const mount of [after, live]) unmount(mount)
      for (const file of [image, copy]) rmSync(file)
    }
    expect(sealed).toBeGreaterThan(0)
    process.stdout.write(`    ${sealed} lines sealed before the cuts, none lost\n`)
  })
})
