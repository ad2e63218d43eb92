import { writeFileSync } from 'node:fs'
import { LogSource } from '../../../src/ship/shipper/log-source'
import { useTempDir } from '../../support/temp-dir'

const MIB = 1024 * 1024

describe('a batch of a log', () => {
  const dir = useTempDir()

  it.each([
    ['bytes', 40, 1, 100_000, 11],
    ['lines', 40, 1_000, 1, 8_192],
  ])('is bounded over many small files, in %s', async (_, files, lines, bytes, each) => {
    for (let file = files; file > 0; file--) {
      writeFileSync(dir.path(`exec.log.${file}`), `${'x'.repeat(bytes)}\n`.repeat(lines))
    }
    const source = new LogSource({
      ...{ log: dir.path('exec.log'), maxBodyBytes: MIB, acceptsGap: false },
      onNote: ({ message }) => {
        throw new Error(message)
      },
    })
    const read = async function* () {}
    const place = {
      last: undefined,
      from: undefined,
      isGapDue: false,
      hasCheckpoint: false,
      place: undefined,
    }
    await source.resume({ ...place, read })
    const counts: number[] = []
    for (let hasMore = true; hasMore; ) {
      const batch = await source.read()
      counts.push(batch.lines.length)
      hasMore = batch.hasMore
    }
    await source.close()
    expect(counts.slice(0, 3)).toEqual([each, each, each])
    expect(counts.reduce((sum, count) => sum + count)).toBe(files * lines)
  })
})
