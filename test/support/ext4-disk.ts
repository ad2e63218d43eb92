import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { privileged, unmount } from './privileged'

/** Mounts an ext4 file system of 4 GiB for the tests of a file; each finds it empty, with mode 0700. */
export function useExt4Disk(): { folder(): string } {
  let parent = ''
  let folder = ''
  beforeAll(() => {
    parent = mkdtempSync(join(tmpdir(), 'exec-audit-'))
    folder = join(parent, 'disk')
    const image = join(parent, 'image')
    mkdirSync(folder)
    privileged('truncate', '-s', '4G', image)
    privileged('mkfs.ext4', '-q', '-F', '-O', '^has_journal', image)
    privileged('mount', '-o', 'loop', image, folder)
  })
  beforeEach(() => {
    // A process left behind by the previous test may be removing its own files just now.
    for (const name of readdirSync(folder)) {
      rmSync(join(folder, name), { recursive: true, force: true })
    }
    chmodSync(folder, 0o700)
    privileged('chown', '0:0', folder)
  })
  afterAll(() => {
    unmount(folder)
    rmSync(parent, { recursive: true, force: true })
  })
  return { folder: () => folder }
}
