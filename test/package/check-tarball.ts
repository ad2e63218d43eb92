import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkBundlers } from './bundlers'
import { checkEmbedder } from './embedder'
import { checkInstall } from './install'
import { checkInstalled } from './installed'
import { checkNodes } from './nodes'
import { expectSame, makeProject, run } from './project'
import { lint, pack } from './tarball'
import { checkTypes } from './types'

/*
 * `npm run check:package`: packs the package, installs the tarball in an empty project, and uses it
 * there as its users do, each subject in a file of its own.
 */

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'exec-audit-package-'))
  try {
    // npm builds it first, by the script `prepare`.
    const tarball = pack(folder)
    await lint(tarball)
    const project = makeProject(folder, tarball)
    checkInstalled(project)
    const usage = run(project, 'npx', 'x0x-exec-audit', '--help').split('\n')[0]
    expectSame('the command', usage, 'Usage: x0x-exec-audit [options] [command]')
    checkNodes(project)
    await checkBundlers(project, folder)
    checkTypes(project)
    checkEmbedder(folder, tarball)
    checkInstall(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

void main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
