import { TextWindow } from '../../../src/writer/ring/text-window'

const BYTES = 64 * 1024

/** A buffer of letters, no two neighbouring stretches of which are alike. */
function letters(): Buffer {
  return Buffer.from(Array.from({ length: BYTES }, (_, i) => 0x21 + ((i * i + (i >> 7)) % 90)))
}

describe('a text window', () => {
  it.each([1, 7, 300, 16 * 1024, 20_000])('gives the text of each stretch of %d bytes', (size) => {
    const bytes = letters()
    const window = new TextWindow(bytes)
    window.renew(BYTES)
    for (let start = 0; start + size <= BYTES; start += size) {
      expect(window.slice(start, start + size)).toBe(bytes.toString('latin1', start, start + size))
    }
  })

  it('goes back to an earlier stretch', () => {
    const bytes = letters()
    const window = new TextWindow(bytes)
    window.renew(BYTES)
    for (const start of [40_000, 0, 50_000, 49_000]) {
      expect(window.slice(start, start + 9)).toBe(bytes.toString('latin1', start, start + 9))
    }
  })

  it('shows nothing that was there before the bytes changed', () => {
    const bytes = Buffer.from('old old old')
    const window = new TextWindow(bytes)
    window.renew(3)
    expect(window.slice(0, 3)).toBe('old')
    bytes.write('new', 4)
    window.renew(7)
    expect(window.slice(4, 7)).toBe('new')
    bytes.write('NEW', 0)
    window.renew(3)
    expect([window.slice(8, 11), window.slice(0, 3)]).toEqual(['old', 'NEW'])
  })

  it('has the empty text anywhere', () => {
    const window = new TextWindow(letters())
    window.renew(BYTES)
    expect([window.slice(0, 0), window.slice(BYTES, BYTES)]).toEqual(['', ''])
  })
})
