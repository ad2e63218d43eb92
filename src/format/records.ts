import type { DenialReason, WarningKind } from './events'

/** Where a line stands in its file, in its stream, or in the decompressed text of a .gz file. */
export interface LinePlace {
  /** From 1; blank lines count. */
  readonly line: number
  /** Where the line begins, in bytes from 0. */
  readonly offset: number
  /** Bytes, without the newline. */
  readonly length: number
}

interface RecordBase<Event extends string> extends LinePlace {
  /** The event's name in the line. */
  readonly event: Event
  /** Milliseconds since 1970, taken when the event was recorded. */
  readonly tsUnixMs: number
  /** 32 hexadecimal digits in lower case. */
  readonly requestId: string
}

interface PartyRecord<Event extends string> extends RecordBase<Event> {
  /** 64 hexadecimal digits in lower case. */
  readonly agentId: string
  /** 64 hexadecimal digits in lower case. */
  readonly machineId: string
  /** As it stands in the line: redacted, or cut at `maxEventBytes`, if the writer did so. */
  readonly argv: readonly string[]
  /** Who, where and on whose behalf, as the gateway gave it; absent from a line without it. */
  readonly context?: Readonly<Record<string, string>>
}

/** A u64 as it is read: a number if that is exact (to 2^53 - 1), else a bigint. */
export type U64 = number | bigint

/** A command was asked for and allowed, and was about to run. */
export interface RequestRecord extends PartyRecord<'request'> {
  /** The rule that allowed it. */
  readonly matchedAcl: string | null
  /** Bytes. */
  readonly stdinBytes: U64
  /** Milliseconds. */
  readonly timeoutMs: number
}

/** The command's process existed. */
export interface StartedRecord extends RecordBase<'started'> {
  /** u32, on the machine that wrote the line. */
  readonly pid: number
}

/** Something worth noting happened while the command ran. */
export interface WarningRecord extends RecordBase<'warning'> {
  /** What happened. */
  readonly kind: WarningKind
  /** The byte count that the warning is about. */
  readonly bytes: U64 | null
}

/** The command ended. */
export interface ExitRecord extends RecordBase<'exit'> {
  /** Exit code, i32; null if a signal ended it, or it did not run. */
  readonly code: number | null
  /** A signal's number on the system that wrote the line. */
  readonly signal: number | null
  /** Milliseconds. */
  readonly durationMs: U64
  /** Bytes. */
  readonly stdoutBytes: U64
  /** Bytes. */
  readonly stderrBytes: U64
  /** Whether output was cut at a cap. */
  readonly truncated: boolean
}

/** A command was asked for and refused. */
export interface DenialRecord extends PartyRecord<'denial'> {
  /** Why. */
  readonly reason: DenialReason
}

/** An event as it was read back; `event` says which. */
export type AuditRecord = RequestRecord | StartedRecord | WarningRecord | ExitRecord | DenialRecord

/** An event whose u64s are bigints, whatever their size. */
export type BigintAuditRecord<Record extends AuditRecord = AuditRecord> = Record extends AuditRecord
  ? {
      readonly [Name in keyof Record]: U64 extends Record[Name]
        ? bigint | Exclude<Record[Name], U64>
        : Record[Name]
    }
  : never

/** The event with its u64s as bigints. */
export function withBigints(record: AuditRecord): BigintAuditRecord {
  switch (record.event) {
    case 'request':
      return { ...record, stdinBytes: BigInt(record.stdinBytes) }
    case 'warning':
      return { ...record, bytes: record.bytes === null ? null : BigInt(record.bytes) }
    case 'exit':
      return {
        ...record,
        durationMs: BigInt(record.durationMs),
        stdoutBytes: BigInt(record.stdoutBytes),
        stderrBytes: BigInt(record.stderrBytes),
      }
    default:
      return record
  }
}

/**
 * What is wrong with a line:
 * - `torn`: a fragment, as a crash, a power cut or a full disk leaves one;
 * - `foreign`: whole, but not a line that this writer writes, byte for byte;
 * - `newer`: one of this format, with an event, kind or reason that this version does not know;
 * - `not-utf8`: bytes that are not UTF-8;
 * - `too-long`: longer than `maxLineBytes`, and therefore skipped.
 */
export type ProblemKind = 'torn' | 'foreign' | 'newer' | 'not-utf8' | 'too-long'

/** A line that is not an event. */
export interface AuditProblem extends LinePlace {
  /** What is wrong, in one word. */
  readonly kind: ProblemKind
  /** True for a last line that has no newline. */
  readonly isIncomplete: boolean
  /** The key that is wrong, as it is in the line, if one key is to blame. */
  readonly field: string | undefined
  /** What is wrong, in printable ASCII. */
  readonly message: string
  /** The line's first characters, as they are: escape them before they reach a terminal. */
  readonly excerpt: string
}

/** Whether a parsed line is a problem and not an event. */
export function isProblem(parsed: AuditRecord | AuditProblem): parsed is AuditProblem {
  return !('event' in parsed)
}

const EXCERPT_CHARACTERS = 120

/** Makes the problem of the line at `place`. */
export function problemAt(
  place: LinePlace,
  text: string,
  { kind, field, message }: Pick<AuditProblem, 'kind' | 'field' | 'message'>,
  isIncomplete = false,
): AuditProblem {
  const { line, offset, length } = place
  // Not a slice, which would keep the whole line in memory for as long as the problem.
  const excerpt = Buffer.from(text.slice(0, EXCERPT_CHARACTERS)).toString()
  return { kind, line, offset, length, isIncomplete, field, message, excerpt }
}

/** Thrown for a broken line if `onProblem` is `'throw'`. */
export class AuditReadError extends Error {
  /** Identifies it even if `instanceof` cannot. */
  override readonly name = 'AuditReadError'
  /** Compare this, never the message. */
  readonly code = 'AUDIT_BROKEN_LINE'

  constructor(
    /** The line, and what is wrong with it. */
    readonly problem: AuditProblem,
  ) {
    super(`line ${problem.line} at byte ${problem.offset}: ${problem.kind}: ${problem.message}`)
  }
}
