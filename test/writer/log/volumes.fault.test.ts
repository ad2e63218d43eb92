import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startedEvent, startedLine, startedLines } from '../../support/events'
import { openAudit, type Warned } from '../../support/open-audit'
import { itWithMounts, unmount } from '../../support/privileged'
import { useTempDir } from '../../support/temp-dir'

const WORKER = join(__dirname, '../../../dist/writer/worker/exec-audit-worker.js')

const codesOf = (warned: readonly Warned[]) =>
  warned.map(({ object }) => ('code' in object ? object.code : undefined))

describe('on a volume that keeps modes of its own', () => {
  // Before the folder is removed: hooks run in their order.
  afterEach(() => unmount(dir.path('mounted')))
  const dir = useTempDir()
  const path = (name: string) => join(dir.path('mounted'), name)

  /** Mounts a folder through FUSE, as bindfs' options make it. */
  const mount = (...options: readonly string[]) => {
    mkdirSync(dir.path('source'))
    mkdirSync(dir.path('mounted'))
    execFileSync('bindfs', [...options, dir.path('source'), dir.path('mounted')])
  }
  itWithMounts.each(['open', 'closed'] as const)(
    'a chmod that is refused fails no event, not even the first of a new file (%s)',
    async (failureMode) => {
      mount('--chmod-deny', '-p', '0700')
      const { audit, warned } = openAudit(path('exec.log'), { failureMode })
      expect(await audit.started(startedEvent({ pid: 0 }))).toBe('durable')
      renameSync(path('exec.log'), path('exec.log.1'))
      expect(await audit.started(startedEvent({ pid: 1 }))).toBe('durable')
      expect(readFileSync(path('exec.log'), 'utf8')).toBe(startedLine(1))
      expect(warned).toEqual([])
    },
  )

  itWithMounts('a folder whose mode cannot be set is made all the same', async () => {
    mount('--chmod-deny', '-p', '0700')
    const { audit } = openAudit(path('a/b/exec.log'), { dirMode: 0o711 })
    expect(await audit.started(startedEvent({ pid: 0 }))).toBe('durable')
  })

  itWithMounts.each([['--chmod-ignore'], ['--chmod-deny']])(
    'a new file that others may write to, with %s, counts as unsafe as any file does',
    async (chmod) => {
      mount(chmod, '-p', 'ud=rwx:god=rx:af=rw')
      const refused = openAudit(path('refused.log'), { onUnsafeFile: 'fail' })
      expect(await refused.audit.started(startedEvent())).toBe('failed')
      expect(codesOf(refused.warned)).toEqual(['AUDIT_OPEN_FAILED'])
      const accepted = openAudit(path('accepted.log'))
      expect(await accepted.audit.started(startedEvent())).toBe('durable')
      expect(codesOf(accepted.warned)).toEqual(['AUDIT_UNSAFE_FILE'])
    },
  )

  itWithMounts(
    'no event counts as durable in a log that is deleted during its sync, and so hidden',
    async () => {
      mount()
      const log = path('exec.log')
      await expectRewritten(log, dir.path('worker.js'), `fs.unlinkSync(${JSON.stringify(log)})`)
    },
  )
})

/** Has `deletion` run during the second event's sync: that event must be written again. */
async function expectRewritten(log: string, workerFile: string, deletion: string): Promise<void> {
  writeFileSync(
    workerFile,
    `const fs = require('node:fs')
     const { fdatasyncSync } = fs
     let syncs = 0
     fs.fdatasyncSync = (fd) => {
       if (++syncs === 2) ${deletion}
       return fdatasyncSync(fd)
     }
     module.exports = require(${JSON.stringify(WORKER)})`,
  )
  const { audit } = openAudit(log, { workerFile })
  for (const pid of [0, 1, 2]) expect(await audit.started(startedEvent({ pid }))).toBe('durable')
  expect(readFileSync(log, 'utf8')).toBe(startedLine(1) + startedLine(2))
  expect(audit.stats().file.rotations).toBe(1)
}

describe('on NFS, which renames an open file that is deleted', () => {
  const dir = useTempDir()

  it('no event counts as durable in a log that is deleted during its sync', async () => {
    const log = dir.path('exec.log')
    const names = [log, dir.path('.nfs0000000000c0ffee00000001')].map((name) =>
      JSON.stringify(name),
    )
    await expectRewritten(log, dir.path('worker.js'), `fs.renameSync(${names.join(', ')})`)
  })
})

describe('the descriptors of a log on a volume of its own', () => {
  const dir = useTempDir()

  it('leave no hidden file behind', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    for (const pid of [0, 1]) await audit.started(startedEvent({ pid }))
    await audit.close()
    expect(readdirSync(dir.path('.'))).toEqual(['exec.log'])
    expect(readFileSync(dir.path('exec.log'), 'utf8')).toBe(startedLines(2))
  })
})
