import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { blocksOf, runSnippet } from '../support/documents'
import { useTempDir } from '../support/temp-dir'

const MAIN = join(__dirname, '../../dist/cli/main.js')

describe("the seal's page", () => {
  const dir = useTempDir()

  it('has commands and code that run one after the other', () => {
    writeFileSync(dir.path('exec.log'), 'a\n')
    const commands = blocksOf('docs/seal.md', 'sh').flatMap((block) => block.trim().split('\n'))
    expect(commands.length).toBe(3)
    for (const command of commands) {
      const script = command.replace('x0x-exec-audit', `'${process.execPath}' '${MAIN}'`)
      execFileSync('sh', ['-c', script], { cwd: dir.path('.'), stdio: 'pipe' })
    }
    const [snippet = '', ...others] = blocksOf('docs/seal.md', 'js')
    expect(others).toEqual([])
    expect(runSnippet(dir.path('.'), snippet)).toMatch(/^[\d.]+\n$/)
  })
})
