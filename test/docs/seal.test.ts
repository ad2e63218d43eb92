import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SEAL_FINDINGS } from '../../src/seal'
import { blocksOf, runSnippet, textOf } from '../support/documents'
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

  it('has a check by hand, with openssl and sha256sum', () => {
    writeFileSync(dir.path('exec.log'), 'a line\n')
    for (const command of blocksOf('docs/seal.md', 'sh').join('').trim().split('\n')) {
      const script = command.replace('x0x-exec-audit', `'${process.execPath}' '${MAIN}'`)
      execFileSync('sh', ['-c', script], { cwd: dir.path('.'), stdio: 'pipe' })
    }
    const [script = ''] = blocksOf('docs/seal.md', 'bash')
    const run = () =>
      execFileSync('bash', ['-ec', script], { cwd: dir.path('.'), encoding: 'utf8' })
    const [signature, leaf, tile] = run().split('\n')
    expect(signature).toBe('Signature Verified Successfully')
    expect(leaf).toMatch(/^[0-9a-f]{64}$/)
    expect(tile).toBe(leaf)
    const [, , root = ''] = readFileSync(dir.path('seal/checkpoint'), 'utf8').split('\n')
    expect(Buffer.from(root, 'base64').toString('hex')).toBe(leaf)
  })

  it('names each finding', () => {
    const text = textOf('docs/seal.md')
    expect(SEAL_FINDINGS.filter((kind) => !text.includes(`\`${kind}\``))).toEqual([])
  })
})
