import { runCli } from '../../support/cli'
import { writeSampleLog } from '../../support/sample-log'
import { useTempDir } from '../../support/temp-dir'

const dir = useTempDir()

describe('a log on the command line', () => {
  it.each([[['view']], [['show', '0101']], [['stats']], [['verify']]])(
    'of %j may be named by --log as well, and several may',
    async (command) => {
      const [old, log] = [dir.path('exec.log.1'), dir.path('exec.log')]
      await writeSampleLog(old)
      await writeSampleLog(log)
      const [named, byOption] = await Promise.all([
        runCli([...command, old, log]),
        runCli([...command, '--log', old, '--log', log]),
      ])
      expect(named.stdout).not.toBe('')
      expect(byOption).toEqual(named)
    },
  )

  it.each([
    [['a.log', '--log', 'b.log'], 'name a log either as FILE or by --log'],
    [['--log', 'a.log', '--log', 'b.log'], '--log: expected one log, got 2'],
    [['a.log', 'b.log'], "too many arguments for 'doctor': expected 1, got 2"],
    [[''], 'FILE: expected the path of a log, got an empty string'],
  ])('of doctor is one, so %j is refused', async (args, message) => {
    expect(await runCli(['doctor', ...args])).toEqual({
      code: 2,
      stdout: '',
      stderr: `x0x-exec-audit: ${message} (--help shows the usage)\n`,
    })
  })

  it('of doctor may be named without an option', async () => {
    const path = dir.path('no/folder/exec.log')
    const { stdout } = await runCli(['doctor', '--json', path])
    expect(JSON.parse(stdout)).toMatchObject({ command: 'doctor', log: path })
  })
})

describe('help', () => {
  it.each('exec view show stats verify rotate seal doctor tune'.split(' '))(
    'on %s fits into 80 columns, but for commands to paste',
    async (command) => {
      const { code, stdout } = await runCli([command, '--help'])
      expect([code, stdout.includes('\nExit codes: ')]).toEqual([0, true])
      const lines = stdout.split('\n').filter((line) => !line.startsWith('  $ '))
      expect(lines.filter((line) => line.length > 80)).toEqual([])
    },
  )

  it('on an unknown topic names the known ones', async () => {
    expect(await runCli(['help', 'exce'])).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'x0x-exec-audit: there is no help on exce; topics are exec, view, show, stats, verify, rotate, seal, ship, doctor, tune, help (--help shows the usage)\n',
    })
  })
})
