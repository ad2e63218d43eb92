import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { initSeal } from '../../../src/seal/sealer/open-sealer'
import type { ResolvedPlace } from '../../../src/seal/sealer/seal-options'
import { runCli, startCli } from '../../support/cli'
import {
  findingsOf,
  leafOfLine,
  newPlace,
  placeOptions,
  sealedLeaves,
} from '../../support/seal/sealer-place'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

/** What a descriptor leads to; undefined once it is closed. */
function targetOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

describe('files that begin with blank lines', () => {
  const dir = useTempDir()

  const init = async () => {
    const place = newPlace(dir.path('.'))
    await initSeal(place)
    return place
  }
  const once = (place: ResolvedPlace) => runCli(['seal', '--once', ...placeOptions(place)])
  /** Two files whose first lines are blank are sealed; then the newer one is removed. */
  const sealTwo = async (live: string) => {
    const place = await init()
    writeFileSync(place.log, '\nold\n')
    await once(place)
    renameSync(place.log, `${place.log}.1`)
    writeFileSync(place.log, live)
    expect(await once(place)).toMatchObject({ code: 0, stderr: '' })
    rmSync(place.log)
    return place
  }
  const expectSealed = (place: ResolvedPlace, lines: readonly string[]) =>
    expect(sealedLeaves(place)).toEqual(lines.map(leafOfLine))

  it.each([
    ['lines', '\nlost\n', ['', 'lost']],
    ['nothing but blank lines', '\n\n', ['', '']],
  ])('are not taken for each other when one with %s is gone', async (_, live, lost) => {
    const place = await sealTwo(live)
    // Made before the other one is written: it must not get the number of the one that is gone.
    writeFileSync(dir.path('other'), '')
    writeFileSync(place.log, '\nnew\n')
    expect((await once(place)).code).toBe(0)
    expectSealed(place, ['', 'old', ...lost, '', 'new'])
  })

  it('are known again by their first line that is not blank', async () => {
    const place = await sealTwo('\nlost\n')
    writeFileSync(place.log, '\nold\n')
    expect(await once(place)).toEqual({
      code: 1,
      stdout: '',
      stderr: `x0x-exec-audit: ${place.log} is older than the seal, whose last lines are gone; if a backup was restored, or you know who did it: x0x-exec-audit seal reanchor --reason TEXT\n`,
    })
  })

  it('are sealed although a file before them was packed and theirs was renamed', async () => {
    const place = await init()
    writeFileSync(place.log, '\nfirst\n')
    await once(place)
    rmSync(place.log)
    writeFileSync(`${place.log}.2.gz`, gzipSync('\nfirst\n'))
    writeFileSync(`${place.log}.1`, '\nsecond\n')
    writeFileSync(place.log, '\nthird\n')
    appendFileSync(place.log, '\n')
    expect((await once(place)).code).toBe(0)
    expectSealed(place, ['', 'first', '', 'second', '', 'third', ''])
  })
})

describe('a file of which only blank lines were sealed', () => {
  const dir = useTempDir()

  it.each([
    ['before the sealer has read it to its end', '\n\nlate\n', ['late']],
    ['as it was sealed', '\n\n', []],
  ])('is known again once gzip has packed it, %s', async (_, text, late) => {
    const place = newPlace(dir.path('.'))
    await initSeal(place)
    const once = () => runCli(['seal', '--once', ...placeOptions(place)])
    writeFileSync(place.log, '\n\n')
    await once()
    renameSync(place.log, `${place.log}.1`)
    writeFileSync(place.log, 'b\n')
    await once()
    writeFileSync(`${place.log}.1.gz`, gzipSync(text))
    rmSync(`${place.log}.1`)
    expect(await once()).toMatchObject({ code: 0, stderr: '' })
    expect(sealedLeaves(place)).toEqual(['', '', 'b', ...late].map(leafOfLine))
    expect(await findingsOf(place)).toEqual([])
  })
})

describe('a start after the file with the last sealed lines is gone', () => {
  const dir = useTempDir()

  /** A log that was rotated once, and sealed before and after that. */
  const sealed = async () => {
    const place = newPlace(dir.path('.'))
    await initSeal(place)
    const once = () => runCli(['seal', '--once', ...placeOptions(place)])
    writeFileSync(place.log, 'a\n')
    await once()
    renameSync(place.log, `${place.log}.1`)
    writeFileSync(place.log, 'b\n')
    await once()
    return { place, once }
  }

  it('goes on in the log, if a late group came to the older file', async () => {
    const { place, once } = await sealed()
    appendFileSync(`${place.log}.1`, 'late\n')
    await once()
    rmSync(`${place.log}.1`)
    appendFileSync(place.log, 'c\n')
    const { code, stderr } = await once()
    expect([code, stderr]).toEqual([
      0,
      'x0x-exec-audit: gone: the file with the indexes 2 to 2 is gone; what stood behind them in it was not sealed\n',
    ])
    expect(sealedLeaves(place)).toEqual(['a', 'b', 'late', 'c'].map(leafOfLine))
  })

  it('seals the first lines of an older file that came late, when the file after it was packed', async () => {
    const place = newPlace(dir.path('.'))
    await initSeal(place)
    const once = () => runCli(['seal', '--once', ...placeOptions(place)])
    writeFileSync(`${place.log}.1`, '')
    writeFileSync(place.log, 'b\n')
    await once()
    appendFileSync(`${place.log}.1`, 'late\n')
    renameSync(`${place.log}.1`, `${place.log}.2`)
    renameSync(place.log, `${place.log}.1`)
    execFileSync('gzip', [`${place.log}.1`])
    writeFileSync(place.log, 'c\n')
    expect(await once()).toMatchObject({ code: 0, stderr: '' })
    expect(sealedLeaves(place)).toEqual(['b', 'late', 'c'].map(leafOfLine))
  })

  it.each([
    ['was found under its second name', false],
    ['was opened before it was renamed', true],
  ])(
    'goes on in the log, if the first lines of the older file came late and it %s',
    async (_, isOpen) => {
      const place = newPlace(dir.path('.'))
      await initSeal(place)
      const once = () => runCli(['seal', '--once', ...placeOptions(place)])
      writeFileSync(place.log, '')
      const sealer = isOpen
        ? startCli(['seal', ...placeOptions(place), '--interval', '100ms'])
        : undefined
      if (sealer !== undefined) {
        const descriptors = `/proc/${sealer.child.pid}/fd`
        const files = () =>
          readdirSync(descriptors).map((name) => targetOf(join(descriptors, name)))
        await until('it does not open the log', () => files().includes(place.log))
      }
      const untilSealed = async (lines: number) => {
        if (sealer === undefined) await once()
        await until('it is not sealed', () => sealedLeaves(place).length === lines)
      }
      renameSync(place.log, `${place.log}.1`)
      writeFileSync(place.log, 'b\n')
      await untilSealed(1)
      appendFileSync(`${place.log}.1`, 'late\n')
      await untilSealed(2)
      sealer?.child.kill('SIGTERM')
      await sealer?.end
      rmSync(`${place.log}.1`)
      appendFileSync(place.log, 'c\n')
      const { code, stderr } = await once()
      expect([code, stderr]).toEqual([
        0,
        'x0x-exec-audit: gone: the file with the indexes 1 to 1 is gone; what stood behind them in it was not sealed\n',
      ])
      expect(sealedLeaves(place)).toEqual(['b', 'late', 'c'].map(leafOfLine))
    },
  )

  it('refuses the older file in its place', async () => {
    const { place, once } = await sealed()
    rmSync(place.log)
    renameSync(`${place.log}.1`, place.log)
    const { code, stderr } = await once()
    expect([code, stderr]).toEqual([
      1,
      `x0x-exec-audit: ${place.log} is older than the seal, whose last lines are gone; if a backup was restored, or you know who did it: x0x-exec-audit seal reanchor --reason TEXT\n`,
    ])
  })
})
