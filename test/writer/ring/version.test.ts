import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SESSION_TASK } from '../../../src/writer/ring/messages'
import { VERSION, versionOf, versionWord } from '../../../src/writer/ring/version'

const ROOT = join(__dirname, '../../..')

describe('VERSION', () => {
  it("is the package's", () => {
    const { version }: { version: string } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    )
    expect(VERSION).toBe(version)
  })

  it("is in the name of the worker's task", () => {
    const worker: object = require(join(ROOT, 'dist/writer/worker/exec-audit-worker.js'))
    expect(Object.keys(worker)).toContain(SESSION_TASK)
  })
})

describe('versionWord', () => {
  it.each(['0.0.0', '0.2.0', '1.0.0', '12.345.678'])('stands for %s alone', (version) => {
    expect(versionWord(version)).toBeGreaterThan(0)
    expect(versionOf(versionWord(version))).toBe(version)
  })

  it('is never 0, which stands for none', () => {
    expect(versionOf(0)).toBeUndefined()
  })
})
