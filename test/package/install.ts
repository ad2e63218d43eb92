import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { blocksOf } from '../support/documents'
import { expectSame, NAMES, RECORD, RECORDED, ROOT, run } from './project'

const USE = `const { ${NAMES} } = require('x0x-exec-audit')\n${RECORD}record()\n`

/** Installs the package from a clone in each way that the README names, and uses it there. */
export function checkInstall(folder: string): void {
  const [tarball = '', git = ''] = blocksOf('README.md', 'sh')
  for (const [way, commands] of Object.entries({ tarball, git })) {
    const project = join(folder, `from-${way}`)
    mkdirSync(project)
    writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true }')
    writeFileSync(join(project, 'use.cjs'), USE)
    run(project, 'git', 'clone', '--quiet', ROOT, 'x0x-exec-audit')
    run(project, 'sh', '-ec', commands)
    expectSame(`install: ${way}`, run(project, process.execPath, 'use.cjs'), RECORDED)
  }
}
