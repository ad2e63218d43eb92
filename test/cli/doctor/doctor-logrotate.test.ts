import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { ok, warn } from '../../../src/cli/doctor/finding'
import { judge, matches, readDebugOutput, readRules } from '../../../src/cli/doctor/logrotate'
import { useTempDir } from '../../support/temp-dir'
import { itWithTool, TOOL_ENV } from '../../support/tool'

const dir = useTempDir()

/** The rules of files, the first of which includes the others. */
function rulesOf(files: Readonly<Record<string, string>>) {
  const [main = ''] = Object.keys(files)
  return readRules(main, (file) => files[file] ?? '')
}

describe('a rule of logrotate', () => {
  it('is read with its paths, its defaults and its block', () => {
    const rules = rulesOf({
      main: `# see "man logrotate"
weekly
/var/log/x0x/*.log "/srv/with space/exec.log" {
    daily
    compress # at once
    postrotate
        echo copytruncate
    endscript
}
compress
/var/log/one.log
/var/log/two.log
{
    copytruncate
}
delaycompress
/var/log/plain.log { rotate 4 nocopytruncate }
/var/log/own.log {
  nodelaycompress
}
`,
    })
    const rule = (
      patterns: string[],
      copiesAndTruncates: boolean,
      compressesAtOnce: boolean,
      ...editable: string[]
    ) => {
      return { file: 'main', patterns, copiesAndTruncates, compressesAtOnce, editable }
    }
    expect(rules).toEqual([
      rule(['/var/log/x0x/*.log', '/srv/with space/exec.log'], false, true, 'compress'),
      rule(['/var/log/one.log', '/var/log/two.log'], true, true, 'copytruncate'),
      rule(['/var/log/plain.log'], false, false),
      rule(['/var/log/own.log'], false, true),
    ])
  })

  it('is warned about if it may lose lines, or does nothing', () => {
    const rotation = { file: 'x0x', copiesAndTruncates: false, compressesAtOnce: false }
    expect(judge(rotation)).toEqual(ok('x0x rotates it by rename, which the writer follows'))
    expect(judge({ ...rotation, compressesAtOnce: true })).toEqual(
      warn(
        'x0x compresses it at once, and may lose a line that is just being written',
        '# add delaycompress to its block in x0x',
      ),
    )
    expect(judge({ ...rotation, copiesAndTruncates: true, compressesAtOnce: true })).toEqual(
      warn(
        'x0x rotates it by copytruncate, which loses the lines written while it copies; the writer follows a rename by itself',
        '# add nocopytruncate to its block in x0x',
      ),
    )
    const remedies = ['copytruncate', 'compress'].map((name) => {
      const isCopy = name === 'copytruncate'
      const effects = { copiesAndTruncates: isCopy, compressesAtOnce: !isCopy }
      return judge({ file: 'x0x', ...effects, editable: [name] }).remedy
    })
    expect(remedies).toEqual([
      "sudo sed -i '/^\\s*copytruncate/d' x0x",
      "sudo sed -i 's/^\\s*compress\\s*$/&\\n    delaycompress/' x0x",
    ])
    expect(judge({ ...rotation, refusal: 'skipping it' })).toEqual(
      warn('x0x names it, but logrotate does not rotate it: skipping it', 'man logrotate'),
    )
  })

  it.each([
    ['/var/log/a.log', '/var/log/*.log', true],
    ['/var/log/a/b.log', '/var/log/*.log', false],
    ['/var/log/a.log', '/var/log/?.log', true],
    ['/var/log/ab.log', '/var/log/?.log', false],
    ['/var/log/a.log', '/var/log/[a-c].log', true],
    ['/var/log/d.log', '/var/log/[!a-c].log', true],
    ['/var/log/axlog', '/var/log/a.log', false],
    ['/var/log/a+(b).log', '/var/log/a+(b).log', true],
  ])('is for %s by %s: %p', (path, pattern, isFor) => {
    expect(matches(path, pattern)).toBe(isFor)
  })

  const DIRECTIVES = ['', 'copytruncate', 'nocopytruncate', 'compress', 'compress delaycompress']
  const PLACES: [string, (global: string, own: string, log: string) => string][] = [
    ['a block', (global, own, log) => `${global}\n${log} {\n  rotate 3\n  ${own}\n}\n`],
    ['a block in one line', (global, own, log) => `${global}\n${log} { missingok\n ${own} }\n`],
    ['a late default', (global, own, log) => `${log} {\n${own}\nrotate 3\n}\n${global}\n`],
    [
      'an included file',
      (global, own, log) => {
        mkdirSync(dir.path('rules'), { recursive: true })
        writeFileSync(dir.path('rules/a'), `${log} {\n rotate 3\n ${own}\n}\n`, { mode: 0o644 })
        writeFileSync(dir.path('rules/0.dpkg-old'), `${log} {\n copytruncate\n}\n`, { mode: 0o644 })
        return `${global}\ninclude ${dir.path('rules')}\n`
      },
    ],
  ]

  itWithTool('logrotate').each(PLACES)(
    'is what logrotate itself makes of it, in %s',
    (_, configOf) => {
      mkdirSync(dir.path('logs'), { mode: 0o700 })
      const log = dir.path('logs/exec.log')
      for (const file of [log, `${log}.1`]) writeFileSync(file, 'x\n', { mode: 0o600 })
      const config = dir.path('main.conf')
      const lines = (directives: string) => directives.replaceAll(' ', '\n')
      for (const global of DIRECTIVES) {
        for (const own of DIRECTIVES) {
          const text = configOf(lines(global), lines(own), log)
          writeFileSync(config, text, { mode: 0o644 })
          const { stderr } = spawnSync('logrotate', ['-d', '-f', '-s', '/nonexistent/s', config], {
            encoding: 'utf8',
            env: TOOL_ENV,
          })
          const [rule] = readRules(config, (file) => readFileSync(file, 'utf8'))
          const said = readDebugOutput(stderr, log)
          expect([text, rule]).toEqual([text, expect.objectContaining(said ?? { isSaid: false })])
        }
      }
    },
  )

  itWithTool('logrotate')('is refused in a folder that others may write to', () => {
    mkdirSync(dir.path('logs'))
    const log = dir.path('logs/exec.log')
    writeFileSync(log, 'x\n')
    writeFileSync(dir.path('main.conf'), `${log} {\n}\n`, { mode: 0o644 })
    spawnSync('chmod', ['777', dir.path('logs')])
    const args = ['-d', '-f', '-s', '/nonexistent/s', dir.path('main.conf')]
    const { stderr } = spawnSync('logrotate', args, { encoding: 'utf8', env: TOOL_ENV })
    expect(readDebugOutput(stderr, log)?.refusal).toMatch(/insecure permissions/)
  })
})
