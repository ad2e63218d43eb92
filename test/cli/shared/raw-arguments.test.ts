import { notUtf8Index, notUtf8Variables } from '../../../src/cli/shared/raw-arguments'

const raw = (...fields: readonly (string | readonly number[])[]) =>
  Buffer.concat(fields.flatMap((field) => [Buffer.from(field as string), Buffer.from([0])]))

const LATIN1 = [0x63, 0xe9]
const LATIN1_READ = 'c\u{fffd}'

describe('arguments', () => {
  it.each([
    ['that are UTF-8', ['a', 'é', '😀'], raw('node', 'main', 'a', 'é', '😀'), -1],
    ['with a true U+FFFD', ['\u{fffd}'], raw('node', '\u{fffd}'), -1],
    ['in Latin-1', ['a', LATIN1_READ], raw('node', 'a', LATIN1), 1],
    ['that are half a character', ['\u{fffd}'], raw('node', [0xe2, 0x82]), 0],
    ['that are a surrogate', ['\u{fffd}'.repeat(3)], raw('node', [0xed, 0xa0, 0x80]), 0],
    ['that are empty', ['', ''], raw('node', '', ''), -1],
    ['that the system does not show', ['a', LATIN1_READ], undefined, 1],
    ['behind a title', ['a', LATIN1_READ], raw('title'), 1],
    ['behind a title of many', ['a', 'b'], raw('x', 'y', 'z'), -1],
    ['that are none', [], raw('node', 'main'), -1],
  ] as const)('%s', (_, args, bytes, index) => {
    expect(notUtf8Index(args, bytes)).toBe(index)
  })
})

describe('variables', () => {
  it('are named that are not UTF-8', () => {
    const bytes = raw('A=1', 'B=é', [0x43, 0x3d, 0xe9], [0xe9, 0x3d, 0x31])
    expect(notUtf8Variables(bytes)).toEqual(['C', '\u{fffd}'])
    expect(notUtf8Variables(undefined)).toEqual([])
  })
})
