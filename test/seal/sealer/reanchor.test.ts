import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { initSeal } from '../../../src/seal/sealer/open-sealer'
import { type ResolvedPlace, resolvePlace } from '../../../src/seal/sealer/seal-options'
import { runCli } from '../../support/cli'
import {
  leafOfLine,
  linesOfLog,
  newPlace,
  placeOptions,
  sealedLeaves,
} from '../../support/seal/sealer-place'
import { useTempDir } from '../../support/temp-dir'

describe('seal reanchor', () => {
  const dir = useTempDir()

  const once = (place: ResolvedPlace) => runCli(['seal', '--once', ...placeOptions(place)])
  const reanchor = (place: ResolvedPlace, reason: string) =>
    runCli(['seal', 'reanchor', ...placeOptions(place), '--reason', reason])
  const placeNow = ({ log, seal }: ResolvedPlace) =>
    resolvePlace({ log, seal, key: dir.path('key.pem') })

  it('goes on behind what the old tree has, after a log was put back', async () => {
    const place = newPlace(dir.path('.'))
    await initSeal(place)
    writeFileSync(place.log, 'a\nb\nc\n')
    expect((await once(place)).code).toBe(0)
    writeFileSync(place.log, 'a\nb\n')
    expect((await once(place)).code).toBe(1)
    const end = await reanchor(place, 'backup of Monday')
    const { key } = placeNow(place)
    expect(end).toMatchObject({ code: 0, stdout: `${key.text}\n` })
    expect(key.name).toBe('gw1.example.com/exec/2')
    writeFileSync(place.log, 'a\nb\nC\n')
    expect(await once(place)).toMatchObject({ code: 0, stderr: '' })
    const file = readFileSync(join(place.seal, 'reanchor'))
    expect(sealedLeaves(placeNow(place))).toEqual([leafOfLine(file), leafOfLine('C')])
    const { reason, folder, checkpoint } = JSON.parse(file.toString())
    expect({ reason, folder }).toEqual({ reason: 'backup of Monday', folder: 'seal.1' })
    expect(checkpoint).toBe(readFileSync(dir.path('seal.1/checkpoint'), 'utf8'))
    expect(readFileSync(dir.path('key.vkey.1'), 'utf8')).toBe(`${place.key.text}\n`)
  })

  it('seals again from the first line that was changed', async () => {
    const place = newPlace(dir.path('.'))
    await initSeal(place)
    writeFileSync(place.log, 'a\nb\n')
    expect((await once(place)).code).toBe(0)
    renameSync(place.log, `${place.log}.1`)
    writeFileSync(place.log, 'c\nd\n')
    expect((await once(place)).code).toBe(0)
    writeFileSync(`${place.log}.1`, 'a\nB\n')
    expect((await reanchor(place, 'edited')).code).toBe(0)
    expect((await once(place)).code).toBe(0)
    const leaves = ['B', 'c', 'd'].map(leafOfLine)
    expect(sealedLeaves(placeNow(place)).slice(1)).toEqual(leaves)
  })

  it('can be done twice, and not while a sealer runs or without a seal', async () => {
    const place = newPlace(dir.path('.'))
    expect(await reanchor(place, 'x')).toMatchObject({ code: 1 })
    await initSeal(place)
    expect((await reanchor(place, 'one')).code).toBe(0)
    expect((await reanchor(place, 'two')).code).toBe(0)
    expect(placeNow(place).key.name).toBe('gw1.example.com/exec/3')
    expect(existsSync(dir.path('seal.2'))).toBe(true)
    writeFileSync(place.log, 'a\n')
    expect((await once(place)).code).toBe(0)
    expect(sealedLeaves(placeNow(place)).slice(1)).toEqual(linesOfLog(place.log).map(leafOfLine))
  })
})
