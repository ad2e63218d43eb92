import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Load, readPids, runUntilKilled } from '../../support/children/load-child'
import { itWithMounts, privileged, unmount } from '../../support/privileged'
import { seededRandom } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'

jest.setTimeout(300_000)

const CUTS = times('CUTS', 5, 20)
const ROTATED_CUTS = times('ROTATED_CUTS', 2, 5)

/*
 * A power cut: the log lies on a file system in an image, and the image is copied while the writer
 * is stopped. The copy holds what had reached the (loop) device, and nothing of the page cache above.
 */
describe('a power cut under load', () => {
  let folder = ''
  afterEach(() => {
    for (const mount of ['live', 'after']) unmount(join(folder, mount))
  })
  const dir = useTempDir()
  beforeEach(() => {
    folder = dir.path('.')
  })

  /** Runs a writer on a fresh image, cuts the power, and returns the acknowledged pids that are lost. */
  const cut = async (load: Omit<Load, 'path' | 'from'>) => {
    const [image, copy, live, after] = ['image', 'copy', 'live', 'after'].map(dir.path)
    if (!image || !copy || !live || !after) throw new Error('no paths')
    mkdirSync(live, { recursive: true })
    mkdirSync(after, { recursive: true })
    privileged('truncate', '-s', '32M', image)
    privileged('mkfs.ext4', '-q', '-F', image)
    privileged('mount', '-o', 'loop', image, live)
    const { acked } = await runUntilKilled({
      ...load,
      path: join(live, 'new/exec.log'),
      from: 0,
      atEnd: () => copyFileSync(image, copy),
    })
    privileged('mount', '-o', 'loop', copy, after)
    const folder = join(after, 'new')
    const logs = existsSync(folder) ? readdirSync(folder) : []
    const pids = readPids(logs.map((log) => readFileSync(join(folder, log), 'utf8')).join('\n'))
    for (const mount of [after, live]) unmount(mount)
    // The next image is another file, because this one may still be mounted in a namespace made meanwhile.
    for (const file of [image, copy]) rmSync(file)
    return {
      logs: logs.length,
      acked: acked.length,
      lost: acked.filter((pid) => !pids.has(pid)).length,
    }
  }

  itWithMounts(`loses no durable event in ${CUTS} cuts`, async () => {
    const random = seededRandom()
    let acked = 0
    for (let i = 0; i < CUTS; i++) {
      const result = await cut({ afterMs: random() * 150 })
      expect(result.lost).toBe(0)
      expect(result.acked).toBeGreaterThan(0)
      acked += result.acked
    }
    process.stdout.write(`    ${acked} acknowledged, 0 lost\n`)
  })

  itWithMounts(
    `loses none in ${ROTATED_CUTS} cuts while the log is rotated by rename`,
    async () => {
      const random = seededRandom()
      let rotations = 0
      for (let i = 0; i < ROTATED_CUTS; i++) {
        const { lost, logs } = await cut({ afterMs: 50 + random() * 150, rotateEach: 50 })
        expect(lost).toBe(0)
        rotations += logs - 1
      }
      expect(rotations).toBeGreaterThan(0)
      process.stdout.write(`    0 lost over ${rotations} rotations\n`)
    },
  )

  itWithMounts("loses events with method 'none', so that this test can fail", async () => {
    const { acked, lost } = await cut({ method: 'none', afterMs: 50 })
    expect(acked).toBeGreaterThan(0)
    expect(lost).toBeGreaterThan(0)
  })
})
