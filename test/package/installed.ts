import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expectSame, run } from './project'

const DEPENDENCIES = ['fast-json-stringify', 'piscina', 'smol-toml', 'sonic-boom']
/** Ours and theirs; the packages of a platform's own binaries differ. */
const PACKAGES_MAX = 20
const BYTES_MAX = 6_200_000
const COMMANDS = ['exec', 'view', 'show', 'stats', 'verify', 'doctor', 'tune']

/** What a gateway's machine has by installing the package: few packages, and a command that runs with these. */
export function checkInstalled(project: string): void {
  const modules = join(project, 'node_modules')
  const text = readFileSync(join(modules, 'x0x-exec-audit/package.json'), 'utf8')
  const { dependencies }: { dependencies: Readonly<Record<string, string>> } = JSON.parse(text)
  expectSame('what is installed beside it', Object.keys(dependencies), DEPENDENCIES)
  const listed = run(project, 'npm', 'ls', '--all', '--parseable').trim().split('\n')
  // The first is the project itself.
  const packages = new Set(listed).size - 1
  expectSame(`all together are few (${packages} packages)`, packages <= PACKAGES_MAX, true)
  const bytes = sizeOf(modules)
  expectSame(`and small (${bytes} bytes)`, bytes <= BYTES_MAX, true)
  for (const command of COMMANDS) {
    const usage = run(project, 'npx', 'x0x-exec-audit', command, '--help').split('\n')[0]
    const [start] = usage?.split(' [') ?? []
    expectSame(
      `the command ${command}`,
      start?.startsWith(`Usage: x0x-exec-audit ${command}`),
      true,
    )
  }
}

function sizeOf(folder: string): number {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
  const sizes = files
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => statSync(join(parentPath, name)).size)
  return sizes.reduce((sum, size) => sum + size, 0)
}
