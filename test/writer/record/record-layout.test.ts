import * as layout from '../../../src/writer/record/record-layout'
import {
  OVERSIZE_BYTES,
  OVERSIZE_ID_OFFSET,
  OVERSIZE_LENGTH_OFFSET,
} from '../../../src/writer/ring/oversize'
import * as header from '../../../src/writer/ring/record-header'

/** A field's first byte in its record, and its length in bytes. */
type Field = readonly [offset: number, byteLength: number]

const HEADER: readonly Field[] = [
  [header.LENGTH_OFFSET, 4],
  [header.STAMP_OFFSET, 4],
  [header.FAILURE_OFFSET, 4],
  [header.TYPE_OFFSET, 1],
  [header.FLAGS_OFFSET, 1],
  [header.CODE_OFFSET, 1],
  [header.TIME_OFFSET, 8],
  [header.REQUEST_ID_OFFSET, layout.REQUEST_ID_BYTES],
]

const RECORDS: readonly (readonly [name: string, fields: readonly Field[], byteLength: number])[] =
  [
    ['header', [], header.RECORD_HEADER_BYTES],
    ['started', [[layout.STARTED_PID_OFFSET, 4]], layout.STARTED_BYTES],
    ['warning', [[layout.WARNING_BYTES_OFFSET, 8]], layout.WARNING_BYTES],
    [
      'exit',
      [
        [layout.EXIT_CODE_OFFSET, 4],
        [layout.EXIT_SIGNAL_OFFSET, 4],
        [layout.EXIT_DURATION_OFFSET, 8],
        [layout.EXIT_STDOUT_OFFSET, 8],
        [layout.EXIT_STDERR_OFFSET, 8],
      ],
      layout.EXIT_BYTES,
    ],
    [
      'request',
      [
        [layout.AGENT_ID_OFFSET, layout.PARTY_ID_BYTES],
        [layout.MACHINE_ID_OFFSET, layout.PARTY_ID_BYTES],
        [layout.TEXT_BYTES_OFFSET, 4],
        [layout.STRING_COUNT_OFFSET, 4],
        [layout.REQUEST_STDIN_OFFSET, 8],
        [layout.REQUEST_TIMEOUT_OFFSET, 4],
        [layout.SHAPE_OFFSET, 4],
      ],
      layout.STRING_LENGTHS_OFFSET,
    ],
    [
      'oversize',
      [
        [OVERSIZE_ID_OFFSET, 4],
        [OVERSIZE_LENGTH_OFFSET, 4],
      ],
      OVERSIZE_BYTES,
    ],
  ]

/** The bytes that more than one field claims. */
function sharedBytes(fields: readonly Field[]): number[] {
  const bytes = fields.flatMap(([offset, length]) => Array.from({ length }, (_, i) => offset + i))
  return bytes.filter((byte, i) => bytes.indexOf(byte) !== i)
}

describe('records', () => {
  it.each(RECORDS)('has no overlapping fields in %s', (_name, fields, byteLength) => {
    const all = [...HEADER, ...fields]
    expect(sharedBytes(all)).toEqual([])
    expect(Math.max(...all.map(([offset, length]) => offset + length))).toBeLessThanOrEqual(
      byteLength,
    )
  })

  it('places the three ids in one run', () => {
    expect(layout.AGENT_ID_OFFSET).toBe(header.REQUEST_ID_OFFSET + layout.REQUEST_ID_BYTES)
    expect(layout.MACHINE_ID_OFFSET).toBe(layout.AGENT_ID_OFFSET + layout.PARTY_ID_BYTES)
    expect(layout.ALL_IDS_BYTES).toBe(80)
  })
})

describe('putU64 and getU64', () => {
  const view = () => new DataView(new ArrayBuffer(24))

  it.each([
    [0, 0],
    [1, 1],
    [2 ** 32 - 1, 2 ** 32 - 1],
    [2 ** 32, 2 ** 32],
    [2 ** 32 + 1, 2 ** 32 + 1],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    [0n, 0],
    [2n ** 32n, 2 ** 32],
    [2n ** 53n - 1n, Number.MAX_SAFE_INTEGER],
    [2n ** 53n, 2n ** 53n],
    [2n ** 53n + 1n, 2n ** 53n + 1n],
    [2n ** 63n, 2n ** 63n],
    [2n ** 64n - 1n, 2n ** 64n - 1n],
  ])('keeps %p as %p', (given, expected) => {
    const words = view()
    layout.putU64(words, 8, given)
    expect(layout.getU64(words, 8)).toBe(expected)
    expect(words.getBigUint64(8, true)).toBe(BigInt(given))
    expect([words.getBigUint64(0), words.getBigUint64(16)]).toEqual([0n, 0n])
  })
})
