import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { LineCutter } from '../../../src/ship/shipper/line-cutter'
import { seeded } from '../../support/seed'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

it('cuts any text into the same lines, in pieces of any size', () => {
  const bytes = fc.uint8Array({ maxLength: 40 }).map((line) => line.filter((byte) => byte !== 10))
  const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 })
  const max = fc.integer({ min: 0, max: 50 })
  fc.assert(
    fc.property(fc.array(bytes), bytes, sizes, max, (lines, torn, pieces, maxBytes) => {
      const text = Buffer.concat([...lines.flatMap((line) => [line, Buffer.from('\n')]), torn])
      const cutter = new LineCutter(maxBytes)
      const cut: unknown[] = []
      const ends: number[] = []
      for (let at = 0, i = 0; at < text.length; i++) {
        const chunk = Buffer.from(text.subarray(at, at + (pieces[i % pieces.length] ?? 1)))
        cutter.push(chunk, (line, end) => {
          cut.push({
            ...line,
            body: line.body?.toString('hex'),
            sha256: line.sha256.toString('hex'),
          })
          ends.push(at + end)
        })
        at += chunk.length
        // It may be overwritten by the next one.
        chunk.fill(0)
      }
      const expected = lines.map((line) => ({
        body: line.length > maxBytes ? undefined : Buffer.from(line).toString('hex'),
        bytes: line.length,
        sha256: sha256(line),
      }))
      expect(cut).toEqual(expected)
      let end = 0
      expect(ends).toEqual(lines.map((line) => (end += line.length + 1)))
    }),
    seeded(500),
  )
})
