import {
  align,
  stampOf,
  TYPE_DENIAL,
  TYPE_EXIT,
  TYPE_OVERSIZE,
  TYPE_REOPEN,
  TYPE_REQUEST,
  TYPE_STARTED,
  TYPE_WARNING,
} from '../../../src/writer/ring/record-header'

const CAPACITY = 1024

describe('record types', () => {
  it('have numbers that differ by two bits or more, from each other and from 0', () => {
    const types = [
      0,
      TYPE_REQUEST,
      TYPE_STARTED,
      TYPE_WARNING,
      TYPE_EXIT,
      TYPE_DENIAL,
      TYPE_REOPEN,
      TYPE_OVERSIZE,
    ]
    const bits = (word: number) => word.toString(2).replaceAll('0', '').length
    const differences = types.flatMap((one, i) => types.slice(i + 1).map((two) => bits(one ^ two)))
    expect(Math.min(...differences)).toBe(2)
  })
})

describe('align', () => {
  it.each([
    [0, 0],
    [1, 8],
    [7, 8],
    [8, 8],
    [9, 16],
    [40, 40],
    [2 ** 28 - 1, 2 ** 28],
  ])('rounds %d up to %d', (length, expected) => {
    expect(align(length)).toBe(expected)
  })
})

describe('stampOf', () => {
  it('differs from one lap, and from one length, to the next', () => {
    const laps = [0, CAPACITY, 2 * CAPACITY, 2 ** 31, 2 ** 32 - CAPACITY]
    const stamps = laps.flatMap((lap) => [40, 41, 48].map((length) => stampOf(length, lap)))
    expect(new Set(stamps).size).toBe(stamps.length)
  })

  it('is the same unsigned word for a position read as signed or as unsigned', () => {
    const stamp = stampOf(40, -8)
    expect(stampOf(40, 2 ** 32 - 8)).toBe(stamp)
    expect(stamp).toBe(stamp >>> 0)
  })
})
