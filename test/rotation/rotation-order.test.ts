import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { inRotationOrder } from '../../src/rotation/rotation-order'
import { runCli } from '../support/cli'
import { startedLine } from '../support/events'
import { useTempDir } from '../support/temp-dir'

describe('the files of one rotation', () => {
  it.each([
    ['numbers', 'a.9 a.10 a.11.gz a.8', 'a.11.gz a.10 a.9 a.8'],
    ['numbers from 0', 'log/a log/a.0 log/a.1.gz', 'log/a.1.gz log/a.0 log/a'],
    [
      'dates',
      'a a-20261102.gz a-20261031.gz a-20261103',
      'a-20261031.gz a-20261102.gz a-20261103 a',
    ],
    ['seconds', 'a a-20261102-9 a-20261102-1', 'a-20261102-1 a-20261102-9 a'],
    ['dates with dots and dashes', 'a.2026-11-03 a a.2026-11-02', 'a.2026-11-02 a.2026-11-03 a'],
  ])('named by %s are put in order, the oldest first', (_, named, names) => {
    const [first, last] = [names.split(' ')[0], names.split(' ').at(-1)]
    const notes = [`read as they were rotated, from ${first} to ${last}`]
    expect(inRotationOrder(named.split(' '))).toEqual({ names: names.split(' '), notes })
    expect(inRotationOrder(names.split(' '))).toEqual({ names: names.split(' '), notes: [] })
  })

  it.each([
    ['none', ''],
    ['one', 'exec.log.1'],
    ['those of two logs', 'b b.1 a.1'],
    ['those of two folders', 'x/a y/a.1'],
    ['standard input among them', 'a - a.1'],
    ['numbers and dates', 'a a.1 a-20261102'],
    ['other endings', 'a a.old a.1'],
  ])('stay as they were named: %s', (_, text) => {
    const named = text === '' ? [] : text.split(' ')
    expect(inRotationOrder(named)).toEqual({ names: named, notes: [] })
  })

  it.each([
    ['a.2 a', 'a.1 is not named: the events rotated into it are not read'],
    ['a.12 a.11 a.9', 'a.10 is not named: the events rotated into it are not read'],
    ['x/a.5.gz x/a', 'x/a.4 to x/a.1 are not named: the events rotated into them are not read'],
  ])('are missed where a number is: %s', (text, note) => {
    const named = text.split(' ')
    expect(inRotationOrder(named)).toEqual({ names: named, notes: [note] })
  })

  it('leave out the compressed copy of a file that is there', () => {
    expect(inRotationOrder(['a', 'a.1', 'a.1.gz', 'a.2.gz', 'b.gz'])).toEqual({
      names: ['a', 'a.1', 'a.2.gz', 'b.gz'],
      notes: ['a.1.gz is left out, since a.1 is named too'],
    })
    expect(inRotationOrder(['\x1b[2J', '\x1b[2J.gz']).notes).toEqual([
      '\x1b[2J.gz is left out, since \x1b[2J is named too',
    ])
  })
})

describe('the order of exec.log* from a shell', () => {
  const dir = useTempDir()
  const all = () => ['exec.log', 'exec.log.1', 'exec.log.1.gz', 'exec.log.2.gz'].map(dir.path)

  it('is read as it was written, each line once, by view, stats and verify', async () => {
    const [log = '', rotated = '', partOfIt = '', packed = ''] = all()
    writeFileSync(log, startedLine(4))
    writeFileSync(rotated, startedLine(2) + startedLine(3))
    writeFileSync(partOfIt, gzipSync(startedLine(2) + startedLine(3)).subarray(0, 30))
    writeFileSync(packed, gzipSync(startedLine(1)))
    const stderr = `x0x-exec-audit: ${partOfIt} is left out, since ${rotated} is named too
x0x-exec-audit: read as they were rotated, from ${packed} to ${log}
`
    const view = await runCli(['view', '-o', 'raw', ...all()])
    const stdout = [1, 2, 3, 4].map(startedLine).join('')
    expect(view).toEqual({ code: 0, stdout, stderr })
    const last = await runCli([
      'view',
      '-o',
      'raw',
      '-n',
      '1',
      ...all().flatMap((name) => ['--log', name]),
    ])
    expect(last).toEqual({ code: 0, stdout: startedLine(4), stderr })
    const stats = await runCli(['stats', '--json', ...all()])
    expect([JSON.parse(stats.stdout).events, stats.stderr]).toEqual([
      [{ name: 'started', count: 4 }],
      stderr,
    ])
    const verify = await runCli(['verify', '--json', ...all()])
    expect([JSON.parse(verify.stdout).lines, verify.stderr]).toEqual([4, stderr])
  })
})
