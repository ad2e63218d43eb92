/*
 * The file `segments`: where ranges of lines are. One JSON object per line, appended. A range goes from its first
 * line to that of the next range; a long one begins anew in the same file, so that a start reads little. An object
 * replaces all before it that do not begin earlier: after a kill, lines may be met in another order. They are hints:
 * a wrong one costs time and changes no verdict.
 */

/** A range of lines that stand one after the other in one file. */
export interface Segment {
  /** The index of its first line. */
  readonly first: number
  /** The SHA-256 of its first line without the newline, in hex. */
  readonly sha256: string
  readonly device: string
  readonly inode: string
  /** Where it begins in the file's text, which may have been compressed meanwhile: bytes. */
  readonly offset: number
  /** The user id of the file's owner. */
  readonly uid: number
  /** When the sealer opened the file: milliseconds since 1970. */
  readonly opened: number
  /** The same time in milliseconds since the machine was started; older seals have it not. */
  readonly uptime?: number
  /** Which start of the machine that was. */
  readonly boot?: string
  /** The file's name when it was opened. */
  readonly file: string
  /** Whether the file was there when the sealing began. */
  readonly late?: true
}

const DIGITS = /^\d+$/

export function formatSegment(segment: Segment): string {
  return `${JSON.stringify(segment)}\n`
}

/** Undefined for a line that is torn or strange. */
export function parseSegment(line: string): Segment | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { first, sha256, device, inode, offset, uid, file, late }: Partial<Segment> = value
  const { opened, uptime, boot }: Partial<Segment> = value
  const areCounts = isCount(first) && isCount(offset) && isCount(uid) && isCount(opened)
  const areTexts =
    isText(sha256, /^[0-9a-f]{64}$/) && isText(device, DIGITS) && isText(inode, DIGITS)
  if (!areCounts || !areTexts || typeof file !== 'string') return undefined
  return {
    ...{ first, sha256, device, inode, offset, uid, opened },
    ...(isCount(uptime) && typeof boot === 'string' ? { uptime, boot } : {}),
    file,
    ...(late === true ? { late } : {}),
  }
}

/** The ranges that count, in the order of their lines, from all that were written; those from `size` on are left out. */
export function currentSegments(written: Iterable<Segment>, size: number): Segment[] {
  const current: Segment[] = []
  for (const segment of written) {
    while ((current.at(-1)?.first ?? -1) >= segment.first) current.pop()
    current.push(segment)
  }
  while ((current.at(-1)?.first ?? -1) >= size) current.pop()
  return current
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isText(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value)
}
