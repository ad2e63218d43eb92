import { mkdirSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { runCli } from '../../support/cli'
import { writeSampleLog } from '../../support/sample-log'
import { useTempDir } from '../../support/temp-dir'

const dir = useTempDir()
const COMMANDS = [['view'], ['show', '01'], ['stats'], ['verify']]

describe.each(COMMANDS)('a log that %s cannot read', (...command) => {
  it('is named if gzip has compressed only a part of it, or if it is damaged', async () => {
    const good = dir.path('exec.log')
    await writeSampleLog(good)
    const packed = gzipSync('x'.repeat(1_000))
    const cut = dir.path('cut.gz')
    writeFileSync(cut, packed.subarray(0, 15))
    const damaged = dir.path('damaged.gz')
    writeFileSync(damaged, packed.fill(0xff, packed.length - 8))
    const advice =
      'gzip has not compressed it to its end, or it is damaged; zcat gives what can be decompressed'
    const ends = await Promise.all([cut, damaged].map((file) => runCli([...command, good, file])))
    expect(ends.map(({ code, stderr }) => [code, stderr.split('\n').at(-2)])).toEqual([
      [2, `x0x-exec-audit: ${cut}: unexpected end of file; ${advice}`],
      [2, `x0x-exec-audit: ${damaged}: incorrect data check; ${advice}`],
    ])
  })

  it('is the only thing reported if it is missing', async () => {
    const missing = dir.path('missing.log')
    const { code, stdout, stderr } = await runCli([...command, missing])
    expect([code, stdout, stderr.split('\n').length]).toEqual([2, '', 2])
    expect(stderr.startsWith(`x0x-exec-audit: ${missing}: ENOENT: `)).toBe(true)
  })

  it('is not reported as broken if standard input is compressed', async () => {
    expect(await runCli([...command, '-'], gzipSync('x'))).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'x0x-exec-audit: standard input is compressed by gzip; decompress it (zcat), or name the file (--help shows the usage)\n',
    })
  })

  it.each([
    ['zstd', 'zstdcat', '28b52ffd'],
    ['xz', 'xzcat', 'fd377a585a'],
    ['bzip2', 'bzcat', '425a68'],
  ])('is no broken one where %s has packed it', async (name, cat, magic) => {
    const packed = Buffer.from(`${magic}00`, 'hex')
    const file = dir.path('exec.log.1')
    writeFileSync(file, packed)
    expect(await runCli([...command, file])).toEqual({
      code: 2,
      stdout: '',
      stderr: `x0x-exec-audit: ${file} is compressed by ${name}; decompress it: ${cat} ${file} | ..., and name - (--help shows the usage)\n`,
    })
    const { code, stderr } = await runCli([...command, '-'], packed)
    expect([code, stderr]).toEqual([
      2,
      `x0x-exec-audit: standard input is compressed by ${name}; decompress it (${cat}) (--help shows the usage)\n`,
    ])
  })

  it('is reported as a folder', async () => {
    mkdirSync(dir.path('folder'))
    const { code, stdout, stderr } = await runCli([...command, dir.path('folder')])
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/^x0x-exec-audit: \S+\/folder(: EISDIR: .*;| is) .*name the files in it/)
  })
})

describe.each([['view'], ['stats']])('a time that ends before it begins', (command) => {
  it(`is refused by ${command}, since nothing can be in it`, async () => {
    const span = ['--since', '2026-11-23T03:00', '--until', '2026-11-23T02:00']
    expect(await runCli([command, ...span, dir.path('none')])).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'x0x-exec-audit: --since is later than --until, so nothing can be between them (--help shows the usage)\n',
    })
  })
})
