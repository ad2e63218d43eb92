import { ByteStore } from '../../src/runner/byte-store'

const pattern = (length: number) => Buffer.from(Array.from({ length }, (_, i) => i % 251))

describe('a byte store', () => {
  it.each([0, 1, 4_095, 4_096, 4_097, 100_000])(
    'gives back %d bytes, in whatever pieces',
    (length) => {
      const bytes = pattern(length)
      for (const step of [1, 7, 4_096, 65_536]) {
        const store = new ByteStore()
        for (let at = 0; at < length; at += step) store.add(bytes.subarray(at, at + step))
        expect(store.length).toBe(length)
        expect(store.take().equals(bytes)).toBe(true)
        expect([store.length, store.take().length]).toEqual([0, 0])
      }
    },
  )

  it('does not hold on to its pieces', () => {
    const store = new ByteStore()
    const piece = Buffer.from('abc')
    store.add(piece)
    store.add(Buffer.alloc(0))
    piece.fill('x')
    expect(store.take().toString()).toBe('abc')
  })
})
