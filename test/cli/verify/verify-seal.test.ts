import { appendFileSync, rmSync } from 'node:fs'
import { entryOf } from '../../../src/seal/tree/hashes'
import { runCli } from '../../support/cli'
import {
  eventLines,
  newSigner,
  requestOf,
  writeLines,
  writeSeal,
} from '../../support/seal/hand-sealed'
import { useTempDir } from '../../support/temp-dir'

const dir = useTempDir()
const LINES = eventLines(30)

async function sealed() {
  const signer = newSigner(dir.path(''))
  const log = dir.path('exec.log')
  writeLines(log, LINES)
  const note = await writeSeal(dir.path('exec.log.tlog'), signer, [
    { file: 'exec.log', lines: LINES },
  ])
  return { log, key: signer.key.text, root: note.split('\n')[2] }
}

async function verify(...args: readonly string[]) {
  const { code, stdout, stderr } = await runCli(['verify', ...args])
  return { code, stderr, lines: stdout.replaceAll(dir.path(''), '').split('\n') }
}

describe('verify --seal', () => {
  it('says what the verdict rests on', async () => {
    const { log, key } = await sealed()
    const rollback =
      '  not checked: whether log and seal were both put back to an older state; give --checkpoint one that was kept elsewhere'
    const good =
      'GOOD  the seal: 30 lines of 1 file against 30 that were sealed as log.example/gw1 (a tree of 30)'
    expect(await verify(log, '--key', key)).toEqual({
      ...{ code: 0, stderr: '' },
      lines: [
        'GOOD  30 lines of 1 file',
        '',
        good,
        `  SEALED by ${key}: who has its private key could make another seal`,
        rollback,
        '',
        'GOOD  in all: the log is good, the seal is good',
        '',
      ],
    })
    expect((await verify(log, '--seal', dir.path('exec.log.tlog'))).lines.slice(2, 4)).toEqual([
      good,
      '  UNANCHORED: no --key was given, so anyone may have made this seal; give the verifier key that keygen printed',
    ])
    const kept = dir.path('exec.log.tlog/checkpoint')
    expect((await verify(log, '--key', key, '--checkpoint', kept)).lines).not.toContain(rollback)
  })

  it('ends with 1 for evidence, which beats 3 for lines that wait for the sealer', async () => {
    const { log, key } = await sealed()
    appendFileSync(log, `${eventLines(3, 30).join('\n')}\n`)
    const late = await verify(log, '--key', key)
    expect([late.code, late.lines[2]?.slice(0, 11)]).toEqual([3, 'CANNOT TELL'])
    expect((await verify(log, '--key', key, '--max-unsealed', '900000h')).code).toBe(0)
    const lines = [...LINES, ...eventLines(3, 30)]
    writeLines(log, lines.with(4, lines[4]?.replace('4242', '4243') ?? ''))
    const changed = await verify(log, '--key', key)
    expect([changed.code, changed.lines[2]]).toEqual([
      1,
      `/exec.log:5: changed: it is not the line that was sealed in this place (index 4, request ${requestOf(4)})`,
    ])
    expect([late, changed].map(({ lines: [...all] }) => all.at(-2))).toEqual([
      'CANNOT TELL  in all: the log is good, the seal cannot be told',
      'BROKEN  in all: the log is good, the seal is broken',
    ])
    writeLines(log, LINES.toSpliced(4, 2))
    expect((await verify(log, '--key', key)).lines).toContainEqual(
      '/exec.log:5: removed: 2 sealed lines are no longer there (indexes 4 to 5)',
    )
  })

  it('never says that no key was given if one was', async () => {
    const { log, key } = await sealed()
    const { key: other } = newSigner(dir.path(''))
    const forged = await verify(log, '--key', other.text)
    const [good, empty, , verdict, ...rest] = forged.lines
    expect([forged.code, good, empty, verdict, rest]).toEqual([
      1,
      'GOOD  30 lines of 1 file',
      '',
      'BROKEN  the seal: it has no checkpoint to compare with: 1 bad signature',
      ['', 'BROKEN  in all: the log is good, the seal is broken', ''],
    ])
    rmSync(dir.path('exec.log.tlog'), { recursive: true })
    expect(await verify(log, '--key', key)).toEqual({
      ...{ code: 1, stderr: '' },
      lines: [
        'GOOD  30 lines of 1 file',
        '',
        '/exec.log.tlog: no seal: /exec.log.tlog/checkpoint is not there',
        'BROKEN  the seal: there is none; --seal names its folder',
        '',
        'BROKEN  in all: the log is good, the seal is broken',
        '',
      ],
    })
  })

  it('accepts erased lines with leave, and what they leave behind', async () => {
    const { log, key } = await sealed()
    const hash = (at: number) => entryOf(Buffer.from(LINES[at] ?? '')).toString('hex')
    // The request of a started and an exit.
    writeLines(log, LINES.with(6, `{"erased":"${hash(6)}"}`))
    expect((await verify(log, '--key', key, '--from-start')).code).toBe(1)
    const allowed = await verify(log, '--key', key, '--from-start', '--allow-erased', '3,6-7')
    expect([allowed.code, allowed.lines[0]]).toEqual([0, 'GOOD  30 lines of 1 file'])
    expect(allowed.lines).toContain('  1 erased, with leave')
  })

  it('prints one object for programs, with what was proved', async () => {
    const { log, key, root } = await sealed()
    const out = dir.path('out')
    const { code, stdout } = await runCli([
      ...['verify', log, '--key', key, '--json', '--prove', requestOf(9), '--out', out],
    ])
    const report: unknown = JSON.parse(stdout)
    const checkpoint = { origin: 'log.example/gw1', size: 30, root, key }
    expect([code, report]).toMatchObject([
      0,
      {
        ...{ version: 1, command: 'verify', verdict: 'good' },
        seal: { verdict: 'good', anchor: 'sealed', checkpoint, findings: [] },
        proved: [9, 10, 11].map((index) => ({
          ...{ file: log, line: index + 1, index, proof: `${out}/${index}.tlog-proof` },
        })),
      },
    ])
    const none = await verify(log, '--key', key, '--prove', 'f'.repeat(32), '--out', out)
    expect([none.code, none.lines.slice(-4)]).toEqual([
      1,
      [
        'no line of this request is in the log',
        '',
        'BROKEN  in all: the log is good, the seal is good, nothing is proved',
        '',
      ],
    ])
  })

  it('says the verdict on both in one field for programs', async () => {
    const { log, key } = await sealed()
    const jsonOf = async (...args: readonly string[]) => {
      const { code, stdout } = await runCli(['verify', log, '--key', key, '--json', ...args])
      const { verdict, logVerdict, seal } = JSON.parse(stdout)
      return { code, verdict, logVerdict, seal: seal.verdict }
    }
    const good = { code: 0, verdict: 'good', logVerdict: 'good', seal: 'good' }
    expect(await jsonOf()).toEqual(good)
    const unproved = ['--prove', 'f'.repeat(32), '--out', dir.path('out')]
    expect(await jsonOf(...unproved)).toEqual({ ...good, code: 1, verdict: 'broken' })
    appendFileSync(log, `${eventLines(3, 30).join('\n')}\n`)
    expect(await jsonOf()).toEqual({ ...good, code: 3, verdict: 'unsure', seal: 'unsure' })
    writeLines(log, LINES.toSpliced(3, 3))
    expect(await jsonOf()).toEqual({ ...good, code: 1, verdict: 'broken', seal: 'broken' })
    writeLines(log, [...LINES, 'x'])
    const patient = ['--max-unsealed', '900000h']
    expect(await jsonOf(...patient)).toEqual({
      ...{ ...good, code: 1, verdict: 'broken', logVerdict: 'broken' },
    })
    const plain = JSON.parse((await runCli(['verify', log, '--json'])).stdout)
    expect(['logVerdict', 'seal'].filter((name) => name in plain)).toEqual([])
    expect(plain.verdict).toBe('broken')
  })

  it.each([
    [['--checkpoint', 'x'], '--checkpoint needs --seal or --key'],
    [['--key', 'x'], '"x" is neither a verifier key nor its file'],
    [['--seal', 'x', '--prove', 'f'.repeat(32)], '--prove and --out go together'],
    [['--seal', 'x', '--allow-erased', '7-3'], 'expected indexes such as 12 or 3,7-9'],
    [['--seal', 'x', '--max-unsealed', 'soon'], 'expected a time such as 60s, 5m, 1h'],
    [['--seal', 'x', '--quorum', '2'], 'the quorum must be from 1 to 0'],
  ])('refuses %j with 2', async (args, why) => {
    const { log } = await sealed()
    const { code, stderr } = await verify(log, ...args)
    expect([code, stderr.includes(why)]).toEqual([2, true])
  })
})
