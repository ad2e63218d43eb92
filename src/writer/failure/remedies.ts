import { dirname } from 'node:path'
import {
  REASON_ACCESS_DENIED,
  REASON_CORRUPT_RECORD,
  REASON_CORRUPT_RING,
  REASON_FILE_OWNER,
  REASON_FILE_WRITABLE,
  REASON_FOLDER_OWNER,
  REASON_FOLDER_WRITABLE,
  REASON_HARD_LINK,
  REASON_LINE_TOO_LONG,
  REASON_NOT_A_FILE,
  REASON_UNKNOWN,
  REASON_UNLINKED,
} from '../ring/failure-word'

/*
 * Reasons in words, and what an operator can do about them.
 */

const OWN_REASONS = new Map<number, string>([
  [REASON_NOT_A_FILE, 'not a regular file; point auditLogPath at one, or at a name that is free'],
  [
    REASON_UNLINKED,
    'it disappeared each time it was created; find out what removes it, or whether its folder is a link that leads nowhere',
  ],
  [REASON_CORRUPT_RECORD, 'the record in the ring is damaged; something else wrote to its memory'],
  [
    REASON_CORRUPT_RING,
    'the ring was given up, so which of its events were written is not known; see the warnings before',
  ],
  [
    REASON_ACCESS_DENIED,
    "Node's permission model forbids it; run with --allow-fs-read and --allow-fs-write for the folder, and with --allow-worker, since a thread under the model may not sync",
  ],
  [REASON_UNKNOWN, 'an error without a number; please report it with the stage'],
  [
    REASON_HARD_LINK,
    'the file has another name (a hard link), so its lines may also land where no log should be; remove the other name',
  ],
  [REASON_FILE_OWNER, 'the file belongs to another user, who can rewrite it; chown it'],
  [
    REASON_FILE_WRITABLE,
    'others may write to the file; take that from them (chmod go-w), or grant it by fileMode',
  ],
  [REASON_LINE_TOO_LONG, 'the line is longer than a string can be; lower maxEventBytes'],
])

/** Reasons in the folder, which they name. */
const FOLDER_REASONS = new Map<number, (folder: string) => string>([
  [
    REASON_FOLDER_OWNER,
    (folder) =>
      `its folder ${folder} belongs to another user, who can replace the file; chown the folder`,
  ],
  [
    REASON_FOLDER_WRITABLE,
    (folder) =>
      `others may write to its folder ${folder}, and so replace the file; take that from them (chmod go-w), or grant it by dirMode`,
  ],
])

/** Remedies for the most frequent errors. */
const REMEDIES = new Map<string, string>([
  [
    'EACCES',
    'give this user read and write permission on the file, and read, write and search on its folder',
  ],
  ['EPERM', 'give this user permission on the file and its folder'],
  ['ENOSPC', 'free space or inodes on the file system'],
  ['EDQUOT', "raise this user's disk quota"],
  ['EROFS', 'the file system is read-only; see the kernel log for the reason'],
  ['EIO', 'the disk reports errors; see the kernel log'],
  ['ELOOP', 'the path is a symbolic link, which is not followed; name the file itself'],
  ['ENOTDIR', 'a part of the path is not a folder'],
  ['EISDIR', 'the path is a folder; name a file in it'],
  ['EMFILE', 'raise the limit on open files (ulimit -n)'],
  ['EFBIG', 'raise the limit on file sizes (ulimit -f), or rotate the log'],
  ['ENAMETOOLONG', 'shorten the path'],
])

/** Remedies if the folder fails. */
const FOLDER_REMEDIES = new Map<string, string>([
  ['EACCES', 'make the folder, and give this user read, write and search permission on it'],
  ['EPERM', 'give this user permission on the folder'],
])

/** A REASON constant in words, with its remedy, for the log at `path`. */
export function ownReason(reason: number, path: string): string {
  return knownReason(reason, path) ?? 'an unknown reason'
}

/** As {@link ownReason}, but undefined for the kernel's own numbers. */
export function knownReason(reason: number, path: string): string | undefined {
  return FOLDER_REASONS.get(reason)?.(dirname(path)) ?? OWN_REASONS.get(reason)
}

/** The remedy for a system error of this code, if there is one. */
export function remedyOf(code: string | undefined, isFolder = false): string | undefined {
  if (code === undefined) return undefined
  return (isFolder ? FOLDER_REMEDIES.get(code) : undefined) ?? REMEDIES.get(code)
}
