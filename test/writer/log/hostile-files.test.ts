import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { AuditError, type ExecAuditOptions } from '../../../src'
import { startedEvent, startedLine } from '../../support/events'
import { openAudit, type Warned } from '../../support/open-audit'
import { itWithMounts, privileged, unmount } from '../../support/privileged'
import { useTempDir } from '../../support/temp-dir'

const STRANGER = 65_534
const HARD_LINK =
  'the file has another name (a hard link), so its lines may also land where no log should be; remove the other name'
const FILE_OWNER = 'the file belongs to another user, who can rewrite it; chown it'
const FILE_WRITABLE =
  'others may write to the file; take that from them (chmod go-w), or grant it by fileMode'
const FOLDER_OWNER =
  'its folder FOLDER belongs to another user, who can replace the file; chown the folder'
const FOLDER_WRITABLE =
  'others may write to its folder FOLDER, and so replace the file; take that from them (chmod go-w), or grant it by dirMode'

const mode = (path: string, bits: number) => {
  writeFileSync(path, '')
  chmodSync(path, bits)
}
const folderMode = (path: string, bits: number) => chmodSync(dirname(path), bits)

/** The text of a warning's error, without the frame that names the path. */
const textsOf = (warned: readonly Warned[]) => warned.map(({ message }) => message)

describe('something else at the path than a log:', () => {
  const dir = useTempDir()
  const record = (path: string, options?: ExecAuditOptions) => {
    const under = openAudit(path, { failureMode: 'closed', ...options })
    const outcome = under.audit.started(startedEvent({ pid: 0 })).catch((error: unknown) => {
      if (error instanceof AuditError) return `${error.code}: ${error.message}`
      throw error
    })
    return { ...under, outcome }
  }
  const refusal = (path: string, why: string) =>
    `AUDIT_OPEN_FAILED: cannot open the log ${path}: ${why}`
  const systemRefusal = (path: string, why: string, remedy: string) =>
    refusal(path, `${why}; ${remedy}`)
  const noFile = 'not a regular file; point auditLogPath at one, or at a name that is free'
  const noLink = 'the path is a symbolic link, which is not followed; name the file itself'

  it.each<[string, (path: string) => void]>([
    ['a symbolic link', (path) => symlinkSync(dir.path('victim'), path)],
    ['a dangling symbolic link', (path) => symlinkSync(dir.path('missing'), path)],
    ['a link to itself', (path) => symlinkSync(path, path)],
  ])('%s is refused, and nothing is written or made behind it', async (_, make) => {
    const path = dir.path('exec.log')
    writeFileSync(dir.path('victim'), 'mine')
    make(path)
    const why = 'ELOOP: too many symbolic links encountered'
    expect(await record(path).outcome).toBe(systemRefusal(path, why, noLink))
    expect(readFileSync(dir.path('victim'), 'utf8')).toBe('mine')
    expect(existsSync(dir.path('missing'))).toBe(false)
    expect(lstatSync(path).isSymbolicLink()).toBe(true)
  })

  it('a link that is put there while it is written stops the next event', async () => {
    const path = dir.path('exec.log')
    const { audit, outcome } = record(path)
    expect(await outcome).toBe('durable')
    rmSync(path)
    writeFileSync(dir.path('victim'), 'mine')
    symlinkSync(dir.path('victim'), path)
    await expect(audit.started(startedEvent({ pid: 1 }))).rejects.toMatchObject({
      code: 'AUDIT_OPEN_FAILED',
      cause: { code: 'ELOOP' },
    })
    expect(readFileSync(dir.path('victim'), 'utf8')).toBe('mine')
  })

  it('a link to the log itself, after a rename, stops the next event', async () => {
    const path = dir.path('exec.log')
    const { audit, outcome } = record(path)
    expect(await outcome).toBe('durable')
    renameSync(path, dir.path('elsewhere.log'))
    symlinkSync(dir.path('elsewhere.log'), path)
    await expect(audit.started(startedEvent({ pid: 1 }))).rejects.toMatchObject({
      code: 'AUDIT_OPEN_FAILED',
      cause: { code: 'ELOOP' },
    })
    expect(readFileSync(dir.path('elsewhere.log'), 'utf8')).toBe(startedLine(0))
  })

  it('a FIFO without a reader is refused and does not hang; the log goes on when it is gone', async () => {
    const path = dir.path('exec.log')
    execFileSync('mkfifo', [path])
    const { audit, outcome } = record(path)
    expect(await outcome).toBe(refusal(path, noFile))
    rmSync(path)
    expect(await audit.started(startedEvent({ pid: 1 }))).toBe('durable')
    expect(readFileSync(path, 'utf8')).toBe(startedLine(1))
  })

  it('a folder is refused', async () => {
    const path = dir.path('exec.log')
    mkdirSync(path)
    const why = 'EISDIR: illegal operation on a directory'
    const remedy = 'the path is a folder; name a file in it'
    expect(await record(path).outcome).toBe(systemRefusal(path, why, remedy))
  })

  it('a socket is refused', async () => {
    const path = dir.path('socket')
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(path, resolve))
    expect(await record(path).outcome).toMatch(/^AUDIT_OPEN_FAILED: .*ENXIO/)
    await new Promise((resolve) => server.close(resolve))
  })

  itWithMounts('a device is refused', async () => {
    const path = dir.path('exec.log')
    execFileSync('mknod', [path, 'c', '1', '3'])
    expect(await record(path).outcome).toBe(refusal(path, noFile))
  })

  it('a name of 255 bytes is taken, one of 256 refused', async () => {
    expect(await record(dir.path('n'.repeat(255))).outcome).toBe('durable')
    const path = dir.path('n'.repeat(256))
    const why = 'ENAMETOOLONG: name too long'
    expect(await record(path).outcome).toBe(systemRefusal(path, why, 'shorten the path'))
  })

  it('a NUL in the path is a mistake of the policy', () => {
    expect(() => openAudit(`${dir.path('exec.log')}\0.txt`)).toThrow(
      new TypeError('policy.auditLogPath: expected a path without NUL characters'),
    )
  })

  it('a relative path is taken from the folder at construction, whatever chdir comes later', async () => {
    const before = process.cwd()
    process.chdir(dirname(dir.path('x')))
    try {
      const { audit, outcome } = record('relative.log')
      expect(await outcome).toBe('durable')
      process.chdir('/')
      expect(await audit.started(startedEvent({ pid: 1 }))).toBe('durable')
      expect(readFileSync(dir.path('relative.log'), 'utf8')).toBe(startedLine(0) + startedLine(1))
    } finally {
      process.chdir(before)
    }
  })
})

describe('a log that others could tamper with', () => {
  const dir = useTempDir()
  const path = () => dir.path('logs/exec.log')
  const named = (text: string) => text.replaceAll('FOLDER', dir.path('logs'))
  beforeEach(() => mkdirSync(dir.path('logs'), 0o700))

  const cases: [string, (path: string) => void, string[]][] = [
    [
      'with a second name',
      (log) => {
        writeFileSync(`${log}.other`, '')
        linkSync(`${log}.other`, log)
      },
      [HARD_LINK],
    ],
    ['that others may write', (log) => mode(log, 0o602), [FILE_WRITABLE]],
    ['that its group may write', (log) => mode(log, 0o660), [FILE_WRITABLE]],
    ['in a folder that others may write', (log) => folderMode(log, 0o703), [FOLDER_WRITABLE]],
    [
      'of two such kinds',
      (log) => {
        mode(log, 0o666)
        folderMode(log, 0o777)
      },
      [FILE_WRITABLE, FOLDER_WRITABLE],
    ],
  ]
  const asRoot: typeof cases = [
    [
      'of another owner',
      (log) => {
        writeFileSync(log, '')
        chownSync(log, STRANGER, STRANGER)
      },
      [FILE_OWNER],
    ],
    [
      'in a folder of another owner',
      (log) => chownSync(dirname(log), STRANGER, STRANGER),
      [FOLDER_OWNER],
    ],
  ]

  const warns = async (make: (path: string) => void, reasons: string[]) => {
    make(path())
    const { audit, warned } = openAudit(path())
    expect(await audit.started(startedEvent({ pid: 0 }))).toBe('durable')
    // The file's unchanged state is not reported again.
    await audit.reopen()
    await audit.started(startedEvent({ pid: 1 }))
    await audit.close()
    expect(textsOf(warned)).toEqual([
      `exec audit: ${path()} can be tampered with: ${named(reasons.join('; '))}`,
    ])
    expect(warned[0]?.object).toMatchObject({ code: 'AUDIT_UNSAFE_FILE', stage: undefined })
    expect(readFileSync(path(), 'utf8')).toBe(startedLine(0) + startedLine(1))
  }
  const fails = async (make: (path: string) => void, [reason]: string[]) => {
    make(path())
    const wasThere = existsSync(path())
    const { audit, warned } = openAudit(path(), { onUnsafeFile: 'fail' })
    expect(await audit.started(startedEvent({ pid: 0 }))).toBe('failed')
    expect(textsOf(warned)).toEqual([
      `exec audit: cannot open the log ${path()}: ${named(reason ?? '')}`,
    ])
    // Nothing is written, and nothing is made where it should not be.
    expect(existsSync(path()) ? readFileSync(path(), 'utf8') : undefined).toBe(
      wasThere ? '' : undefined,
    )
  }

  it.each(cases)('%s is written to, and reported once', (_, make, reasons) => warns(make, reasons))
  it.each(cases)("%s is refused with onUnsafeFile 'fail'", (_, make, reasons) =>
    fails(make, reasons),
  )
  itWithMounts.each(asRoot)('%s is written to, and reported once', (_, make, reasons) =>
    warns(make, reasons),
  )
  itWithMounts.each(asRoot)("%s is refused with onUnsafeFile 'fail'", (_, make, reasons) =>
    fails(make, reasons),
  )

  it.each<[string, (path: string) => void, ExecAuditOptions]>([
    ['is in a sticky folder, such as /tmp', (log) => folderMode(log, 0o1777), {}],
    ['may be read by others', (log) => mode(log, 0o644), {}],
    ['has the bits that fileMode grants', (log) => mode(log, 0o660), { fileMode: 0o660 }],
    ['is in a folder that dirMode opens', (log) => folderMode(log, 0o770), { dirMode: 0o770 }],
  ])('is safe when it %s', async (_, make, options) => {
    make(path())
    const { audit, warned } = openAudit(path(), { onUnsafeFile: 'fail', ...options })
    expect(await audit.started(startedEvent({ pid: 0 }))).toBe('durable')
    expect(warned).toEqual([])
  })

  it('is trusted again once it is fixed, and reported again once it is unsafe again', async () => {
    const { audit, warned } = openAudit(path(), { onUnsafeFile: 'fail' })
    folderMode(path(), 0o707)
    expect(await audit.started(startedEvent({ pid: 0 }))).toBe('failed')
    folderMode(path(), 0o700)
    expect(await audit.started(startedEvent({ pid: 1 }))).toBe('durable')
    chmodSync(path(), 0o606)
    expect(await audit.reopen()).toBe('failed')
    const refused = warned.filter(({ object }) => object.code !== 'AUDIT_RECOVERED')
    expect(textsOf(refused)).toEqual(
      [FOLDER_WRITABLE, FILE_WRITABLE].map(
        (reason) => `exec audit: cannot open the log ${path()}: ${named(reason)}`,
      ),
    )
  })
})

describe('a log with the append-only attribute', () => {
  let mounted = ''
  // Before the folder's own clean-up, which is registered next: hooks run in that order.
  afterEach(() => unmount(mounted))
  const dir = useTempDir()
  beforeEach(() => {
    mounted = dir.path('ext4')
    mkdirSync(mounted)
    privileged('truncate', '-s', '16M', dir.path('image'))
    privileged('mkfs.ext4', '-q', '-F', dir.path('image'))
    privileged('mount', '-o', 'loop', dir.path('image'), mounted)
  })

  itWithMounts('takes lines, and a newline for a torn one, and nothing else', async () => {
    const path = `${mounted}/exec.log`
    writeFileSync(path, 'torn')
    privileged('chattr', '+a', path)
    const { audit } = openAudit(path)
    expect(await audit.started(startedEvent({ pid: 0 }))).toBe('durable')
    expect(await audit.reopen()).toBe('durable')
    expect(await audit.started(startedEvent({ pid: 1 }))).toBe('durable')
    expect(() => writeFileSync(path, 'forged')).toThrow('EPERM')
    expect(() => unlinkSync(path)).toThrow('EPERM')
    expect(readFileSync(path, 'utf8')).toBe(`torn\n${startedLine(0)}${startedLine(1)}`)
  })
})
