import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readPids, runUntilKilled, seededRandom } from './helpers/load-child'
import { itWithMounts, privileged, unmount } from './helpers/privileged'
import { useTempDir } from './helpers/temp-dir'
import { times } from './helpers/times'

const CUTS = times('CUTS', 5, 20)

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
  const cut = async (method: 'fdatasync' | 'none', afterMs: number) => {
    const [image, copy, live, after] = ['image', 'copy', 'live', 'after'].map(dir.path)
    if (!image || !copy || !live || !after) throw new Error('no paths')
    mkdirSync(live, { recursive: true })
    mkdirSync(after, { recursive: true })
    privileged('truncate', '-s', '32M', image)
    privileged('mkfs.ext4', '-q', '-F', image)
    privileged('mount', '-o', 'loop', image, live)
    const acked = await runUntilKilled({
      path: join(live, 'new/exec.log'),
      from: 0,
      method,
      afterMs,
      atEnd: () => copyFileSync(image, copy),
    })
    privileged('mount', '-o', 'loop', copy, after)
    const log = join(after, 'new/exec.log')
    const { pids } = readPids(existsSync(log) ? readFileSync(log, 'utf8') : '')
    for (const mount of [after, live]) unmount(mount)
    return { acked: acked.length, lost: acked.filter((pid) => !pids.has(pid)).length }
  }

  itWithMounts(`loses no durable event in ${CUTS} cuts`, async () => {
    const random = seededRandom()
    let acked = 0
    for (let i = 0; i < CUTS; i++) {
      const result = await cut('fdatasync', random() * 150)
      expect(result.lost).toBe(0)
      acked += result.acked
    }
    expect(acked).toBeGreaterThan(CUTS * 20)
    process.stdout.write(`    ${acked} acknowledged, 0 lost\n`)
  })

  itWithMounts("loses events with method 'none', so that this test can fail", async () => {
    const { acked, lost } = await cut('none', 50)
    expect(acked).toBeGreaterThan(20)
    expect(lost).toBeGreaterThan(0)
  })
})
