import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  type Stats,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { codeOf } from '../../base/describe'
import { isPseudo, mountAt } from '../../toolkit/disk/disk'
import { ownReason, remedyOf } from '../../writer/failure/remedies'
import { distrustFile, distrustFolder } from '../../writer/log/file-trust'
import { OPEN_FLAGS } from '../../writer/log/open-log'
import { endsWithNewline, fragmentBytes } from '../../writer/log/tail-repair'
import {
  REASON_FILE_OWNER,
  REASON_FILE_WRITABLE,
  REASON_FOLDER_OWNER,
  REASON_FOLDER_WRITABLE,
  REASON_HARD_LINK,
} from '../../writer/ring/failure-word'
import { quoteArgument } from '../shared/escape'
import { fail, merged, ok, untried, type Verdict, warn } from './finding'
import { nameOf, userName } from './owner'
import { closedText, type Subject } from './subject'

/* The log and its folder as they are. Nothing here writes or creates a file. */

const FILE_MODE = 0o600
const DIR_MODE = 0o700
const WORLD_READ = 0o004

/** Checks what is at the path, and who else could change it. */
export function checkLog({ path }: Subject): Verdict {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return ok(`${path} is not there; the first event makes it, mode 0600`)
  if (stats.isSymbolicLink()) {
    return fail(
      `${path} is a symbolic link, which is never followed`,
      `realpath ${quoteArgument(path)} # and name that file`,
    )
  }
  if (!stats.isFile()) {
    const away = `mv ${quoteArgument(path)} ${quoteArgument(`${path}.old`)}`
    return fail(`${path} is ${kindOf(stats)}, not a regular file`, away)
  }
  const reasons = distrustFile(lstatSync(path, { bigint: true }), FILE_MODE)
  const found = `${path}, ${ownerAndMode(stats)}, ${stats.size} bytes`
  const verdict = trusted(found, reasons, path)
  // The remedy for what others may write to takes reading from them as well.
  const isReadable = (stats.mode & WORLD_READ) !== 0 && !reasons.includes(REASON_FILE_WRITABLE)
  return isReadable ? merged([verdict, readByAll(path, found, verdict)]) : verdict
}

/** Arguments are in the log, and secrets may be among them. */
function readByAll(path: string, found: string, { status }: Verdict): Verdict {
  const text = 'the world may read it, and what is in arguments with it'
  const shown = status === 'ok' ? `${found}: ${text}` : text
  return warn(shown, `chmod o-r ${quoteArgument(path)}`)
}

/** Checks the folder, or where it will be made. */
export function checkFolder(subject: Subject): Verdict {
  const { path, folder, hasFolder, nearestFolder, closedFolder } = subject
  if (closedFolder !== undefined) return shutOut(closedFolder, folder)
  if (!hasFolder) return missingFolder(folder, nearestFolder)
  const stats = lstatSync(folder)
  const found = `${folder}, ${stats.isSymbolicLink() ? 'a symbolic link' : ownerAndMode(stats)}`
  return trusted(found, distrustFolder(folder, DIR_MODE), path)
}

/** A folder that does not let this user in; in the log's own folder passing through is not enough. */
function shutOut(closed: string, folder: string): Verdict {
  const stats = statSync(closed)
  const name = quoteArgument(closed)
  const grant = closed === folder ? `sudo chown ${userName()} ${name}` : `sudo chmod o+x ${name}`
  const command = SHARED_FOLDERS.has(closed) ? ownFolder('/var/log/gateway') : grant
  return fail(
    `${closedText(closed)} (${ownerAndMode(stats)})`,
    `${command} # or run this as the gateway's user, if that is ${nameOf(stats.uid)}`,
  )
}

function missingFolder(folder: string, nearest: string): Verdict {
  const remedy = `mkdir -p -m 0700 ${quoteArgument(folder)}`
  const gone = `${folder} is not there`
  if (lstatSync(folder, { throwIfNoEntry: false }) !== undefined) {
    return fail(
      `${folder} is not a folder`,
      `mv ${quoteArgument(folder)} ${quoteArgument(`${folder}.old`)}`,
    )
  }
  const mount = mountAt(nearest)
  if (mount !== undefined && (isPseudo(mount) || mount.options.includes('ro'))) {
    return warn(`${gone}, and cannot be made on this file system`)
  }
  try {
    accessSync(nearest, constants.W_OK | constants.X_OK)
  } catch (thrown) {
    const code = codeOf(thrown)
    const why = `${nearest} does not let this user make it (${code})`
    return fail(`${gone}, and ${why}`, spaceRemedy(code, nearest) ?? ownFolder(folder))
  }
  return warn(`${gone}; the first event makes it, mode 0700`, remedy)
}

/** Makes a folder that belongs to this user. */
function ownFolder(folder: string): string {
  return `sudo install -d -m 0700 -o ${userName()} ${quoteArgument(folder)}`
}

/** Whether the log, or a new one, can be written to: learnt from opening it, as the writer does. */
export function checkWritable(subject: Subject): Verdict {
  const { path, hasFolder, hindrance } = subject
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats?.isFile()) return merged([openedLog(path), madeFile(subject)])
  if (stats !== undefined) return fail('there is no file to write to')
  if (!hasFolder) return warn(`not tried, since ${hindrance}`)
  return madeFile(subject)
}

function openedLog(path: string): Verdict {
  try {
    closeSync(openSync(path, OPEN_FLAGS))
  } catch (thrown) {
    return fail(`the log cannot be opened: ${systemText(thrown)}`, openRemedy(thrown, path))
  }
  try {
    // The kernel refuses any other opening than one for appending: so the attribute shows by itself.
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK))
    return ok('the log opens for appending')
  } catch (thrown) {
    if (codeOf(thrown) !== 'EPERM') return ok('the log opens for appending')
    return ok(
      'the log opens for appending alone (chattr +a), so whatever rotates it must lift that',
    )
  }
}

function openRemedy(thrown: unknown, path: string): string | undefined {
  const code = codeOf(thrown)
  // The owner, or root, is refused only by an attribute.
  if (code === 'EPERM') return `sudo chattr -i ${quoteArgument(path)}`
  return (
    spaceRemedy(code, path) ??
    (code === 'EACCES'
      ? `sudo chown ${userName()} ${quoteArgument(path)} && chmod 600 ${quoteArgument(path)}`
      : undefined)
  )
}

function madeFile(subject: Subject): Verdict {
  try {
    subject.scratch()
    return ok('its folder takes new files')
  } catch (thrown) {
    const { folder } = subject
    const text = `its folder ${folder} takes no new files: ${systemText(thrown, true)}`
    return fail(text, folderRemedy(codeOf(thrown), folder))
  }
}

/** Folders of the system, which no gateway must own. */
const SHARED_FOLDERS = new Set(
  '/ /etc /home /mnt /opt /root /run /srv /tmp /usr /var /var/lib /var/log /var/tmp'.split(' '),
)

function folderRemedy(code: string | undefined, folder: string): string | undefined {
  if (code === 'EPERM') return `sudo chattr -ia ${quoteArgument(folder)}`
  if (code !== 'EACCES') return spaceRemedy(code, folder)
  return SHARED_FOLDERS.has(folder)
    ? `${ownFolder(join(folder, 'gateway'))} # and put the log there`
    : `sudo chown ${userName()} ${quoteArgument(folder)}`
}

/** The remedies for errors of the disk, as opposed to permissions. */
export function spaceRemedy(code: string | undefined, path: string): string | undefined {
  const name = quoteArgument(path)
  switch (code) {
    case 'ENOSPC':
      return `df -h ${name} && df -i ${name} # and free what is used up`
    case 'EDQUOT':
      return 'quota -s # and raise it'
    case 'EROFS':
      return `sudo mount -o remount,rw "$(findmnt -n -o TARGET -T ${name})" # in a container: put the log on a volume`
    case 'EIO':
      return 'sudo dmesg --level=err # and replace the disk'
    case 'EFBIG':
      return 'ulimit -f unlimited'
    case 'EMFILE':
      return 'ulimit -n 1024'
    case 'ENAMETOOLONG':
      return '# shorten the path'
    default:
      return undefined
  }
}

/** A fragment that a crash has left: the writer closes it with a newline, and keeps it. */
export function checkTail({ path }: Subject): Verdict {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (!stats?.isFile()) return ok('no log, so no torn line')
  const fd = openedToRead(path)
  // The writer reads it too, so the check of writing reports this again, with its remedy.
  if (fd === undefined) return untried('this user may not read the log')
  try {
    const { size } = fstatSync(fd, { bigint: true })
    if (size === 0n) return ok('the log is empty')
    if (endsWithNewline(fd, size)) return ok('the log ends with a whole line')
    const { bytes } = fragmentBytes(fd, size)
    return warn(
      `the log ends with a torn line of ${bytes} bytes; the first event closes it with a newline`,
      `tail -c ${bytes} ${quoteArgument(path)}`,
    )
  } finally {
    closeSync(fd)
  }
}

/** Undefined if this user may not read it. */
function openedToRead(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (thrown) {
    if (codeOf(thrown) === 'EACCES') return undefined
    throw thrown
  }
}

const TRUST_REMEDIES = new Map<number, (path: string, folder: string) => string>([
  [REASON_HARD_LINK, (path) => `find / -xdev -samefile ${path} # and remove the other name`],
  [REASON_FILE_OWNER, (path) => `sudo chown ${userName()} ${path}`],
  [REASON_FILE_WRITABLE, (path) => `chmod 600 ${path}`],
  [REASON_FOLDER_OWNER, (_, folder) => `sudo chown ${userName()} ${folder}`],
  [REASON_FOLDER_WRITABLE, (_, folder) => `chmod 700 ${folder}`],
])

/** The reasons that the writer has for AUDIT_UNSAFE_FILE, in its words. */
function trusted(found: string, reasons: readonly number[], path: string): Verdict {
  const [file, folder] = [quoteArgument(path), quoteArgument(dirname(path))]
  const [first, ...others] = reasons.map((reason) =>
    warn(ownReason(reason, path), TRUST_REMEDIES.get(reason)?.(file, folder)),
  )
  if (first === undefined) return ok(found)
  const why = merged([first, ...others])
  return { ...why, found: `${found}: ${why.found}` }
}

function ownerAndMode({ uid, mode }: Stats): string {
  return `owner ${nameOf(uid)}, mode 0${(mode & 0o7777).toString(8).padStart(3, '0')}`
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder'
  if (stats.isFIFO()) return 'a FIFO'
  return stats.isSocket() ? 'a socket' : 'a device'
}

/** A system error with the remedy that the writer would name. */
export function systemText(thrown: unknown, isFolder = false): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  const remedy = remedyOf(codeOf(thrown), isFolder)
  return remedy === undefined ? text : `${text}; ${remedy}`
}
