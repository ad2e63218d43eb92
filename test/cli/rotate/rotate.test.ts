import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { runCli } from '../../support/cli'
import { startedLine } from '../../support/events'
import { useTempDir } from '../../support/temp-dir'

const dir = useTempDir()
const log = () => dir.path('logs/exec.log')

describe('rotate', () => {
  beforeEach(() => mkdirSync(dir.path('logs'), { mode: 0o700 }))

  it('says what it has done, also if that is nothing', async () => {
    writeFileSync(log(), startedLine(1))
    writeFileSync(`${log()}.1`, startedLine(0))
    const bytes = `${startedLine(1).length} B`
    expect(await runCli(['rotate', '--size', '1k', '--age', '99999d', '--log', log()])).toEqual({
      code: 0,
      stdout: `nothing was due: ${log()} has ${bytes}\n`,
      stderr: '',
    })
    expect(await runCli(['rotate', '--gzip', '--keep', '2', log()])).toEqual({
      code: 0,
      stdout: `${log()} is now ${log()}.1 (${bytes})\n${log()}.2 is packed\n`,
      stderr: '',
    })
    const { stdout } = await runCli(['rotate', '--keep', '1', '--json', log()])
    expect(JSON.parse(stdout)).toEqual({
      ...{ version: 1, command: 'rotate', log: log(), rotated: false, isLocked: false, bytes: 0 },
      ...{ packed: [], removed: ['exec.log.2.gz'] },
    })
    expect(readdirSync(dir.path('logs'))).toEqual(['exec.log.1'])
  })

  it('says that a log is not there, which is no mistake: the gateway may be about to make it', async () => {
    expect(await runCli(['rotate', log()])).toEqual({
      code: 0,
      stdout: `nothing was due: ${log()} is not there\n`,
      stderr: '',
    })
  })

  it('ends with 1 if it cannot, and with 2 if it does not understand', async () => {
    chmodSync(dir.path('logs'), 0o702)
    const folder = dir.path('logs')
    expect(await runCli(['rotate', log()])).toEqual({
      code: 1,
      stdout: '',
      stderr: `x0x-exec-audit: others may write the folder ${folder} (mode 0702); chmod go-w ${folder}\n`,
    })
    const ends = await Promise.all([
      runCli(['rotate']),
      runCli(['rotate', '--size', '10x', log()]),
      runCli(['rotate', '--age', '1', log()]),
    ])
    expect(ends).toEqual(
      [
        'name one log',
        '--size: expected a size such as 100M, 512k or 1G, got 10x',
        '--age: expected a length of time such as 60s, 1500ms or 1h30m, got 1',
      ].map((message) => {
        const stderr = `x0x-exec-audit: ${message} (--help shows the usage)\n`
        return { code: 2, stdout: '', stderr }
      }),
    )
  })
})
