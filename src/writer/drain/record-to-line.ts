import { serialize } from '../../format/serialize-line'
import { CorruptRecordError, decode } from '../record/decode'
import { REASON_CORRUPT_RECORD, REASON_LINE_TOO_LONG, REASON_UNKNOWN } from '../ring/failure-word'
import {
  OVERSIZE_BYTES,
  OVERSIZE_ID_OFFSET,
  OVERSIZE_LENGTH_OFFSET,
  type OversizeSource,
} from '../ring/oversize'
import {
  LENGTH_OFFSET,
  RECORD_HEADER_BYTES,
  type RecordBytes,
  recordBytes,
  TYPE_OFFSET,
  TYPE_OVERSIZE,
  TYPE_REOPEN,
} from '../ring/record-header'

/*
 * From a record to its line: decode and serialize, whether the record stands in the ring or beside it.
 */

/** Whether the record asks for the path to be opened afresh, and so has no line. */
export function isReopen({ view }: RecordBytes, index: number): boolean {
  // By its length too: a damaged event must not pass for a record that has no line.
  const length = view.getUint32(index + LENGTH_OFFSET, true)
  return length === RECORD_HEADER_BYTES && view.getUint8(index + TYPE_OFFSET) === TYPE_REOPEN
}

/** The line of the record at `index`, newline included. {@link reasonOf} names its errors. */
export function lineOf(records: RecordBytes, index: number, oversize: OversizeSource): string {
  const { view } = records
  const length = view.getUint32(index + LENGTH_OFFSET, true)
  if (view.getUint8(index + TYPE_OFFSET) !== TYPE_OVERSIZE) {
    return serialize(decode(records, index, length))
  }
  if (length !== OVERSIZE_BYTES) throw new CorruptRecordError('no reference by its length')
  const copy = copyOf(view, index, oversize)
  return serialize(decode(recordBytes(copy), 0, copy.byteLength))
}

/** A private copy, see ring.ts, of the record that the one at `index` refers to. */
function copyOf(view: DataView, index: number, oversize: OversizeSource): ArrayBuffer {
  const buffer = oversize.get(view.getUint32(index + OVERSIZE_ID_OFFSET, true))
  const length = view.getUint32(index + OVERSIZE_LENGTH_OFFSET, true)
  if (buffer?.byteLength !== length) throw new CorruptRecordError('no such oversize record')
  const copy = new ArrayBuffer(length)
  new Uint8Array(copy).set(new Uint8Array(buffer))
  return copy
}

/** Why there is no line, as a REASON constant. */
export function reasonOf(thrown: unknown): number {
  if (thrown instanceof CorruptRecordError) return REASON_CORRUPT_RECORD
  return thrown instanceof RangeError ? REASON_LINE_TOO_LONG : REASON_UNKNOWN
}
