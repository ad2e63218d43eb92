import { spawnSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { expectSame, run } from './project'

/** Runs the tests of a project that embeds the package, under jest and under both pools of vitest. */
export function checkEmbedder(folder: string, tarball: string): void {
  const project = join(folder, 'embedder')
  const isOurs = (path: string) => !path.includes('node_modules')
  cpSync(join(__dirname, 'embedder'), project, { recursive: true, filter: isOurs })
  const quiet = ['--silent', '--ignore-scripts', '--no-audit', '--no-fund']
  run(project, 'npm', 'ci', ...quiet)
  run(project, 'npm', 'install', '--no-save', ...quiet, tarball)
  for (const framework of ['jest', 'vitest:forks', 'vitest:threads']) {
    const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', framework], {
      cwd: project,
      encoding: 'utf8',
    })
    const told = `${stdout}${stderr}`
    if (status !== 0) console.error(told)
    const handles = /open handle|did not exit|hanging/i.exec(told)?.[0]
    expectSame(
      `${framework}: an embedder's test passes and leaves nothing open`,
      { status, handles },
      { status: 0 },
    )
  }
}
