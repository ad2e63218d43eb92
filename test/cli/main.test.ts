import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCli } from '../support/cli'
import { useTempDir } from '../support/temp-dir'

const DIST = join(__dirname, '../../dist')
const TELL_LOADED = `process.on('exit', () => {
  console.error(JSON.stringify(Object.keys(require.cache)))
})`

const dir = useTempDir()

/** The library's modules that a command loads for its help. */
function loadedBy(command: string): string[] {
  const hook = dir.path('hook.cjs')
  writeFileSync(hook, TELL_LOADED)
  const args = ['-r', hook, join(DIST, 'cli/main.js'), command, '--help']
  const { stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  const files: string[] = JSON.parse(stderr)
  return files.filter((file) => file.startsWith(DIST)).map((file) => file.slice(DIST.length + 1))
}

describe('the bundled command line', () => {
  it('loads only what the command that is asked for needs', () => {
    const [view, tune] = [loadedBy('view'), loadedBy('tune')]
    expect(tune).toContain('index.js')
    expect(
      view.filter((file) => !/^(base|cli|format|policy-file|reader|rotation)\//.test(file)),
    ).toEqual([])
  })
})

describe('help on a command that is not there', () => {
  it.each([
    ['frob', '--help'],
    ['frob', '-h'],
    ['help', 'frob'],
  ])('is a mistake: %s %s', async (...args) => {
    expect(await runCli(args)).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'x0x-exec-audit: there is no help on frob; topics are exec, view, show, stats, verify, rotate, seal, ship, doctor, tune, help (--help shows the usage)\n',
    })
  })
})
