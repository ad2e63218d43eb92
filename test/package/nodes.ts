import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MAJORS, nodeOf } from '../support/node-binaries'
import { entryPoints, expectSame, RECORDED, run } from './project'

const LOAD_ALL = `
const names = process.argv.slice(2)
const main = async () => {
  for (const name of names) {
    const [required, imported] = [require(name), await import(name)]
    const missing = Object.keys(required).filter((key) => imported[key] !== required[key])
    if (missing.length > 0 || Object.keys(required).length === 0) console.log(name, missing)
  }
  console.log('loaded')
}
main()
`

/** Uses the package under each version: required, imported, every entry, the permission model. */
export function checkNodes(project: string): void {
  writeFileSync(join(project, 'load-all.cjs'), LOAD_ALL)
  mkdirSync(join(project, 'logs'), { recursive: true })
  for (const major of MAJORS) checkNode(project, nodeOf(major), `Node ${major}`)
}

function checkNode(project: string, node: string, on: string): void {
  const before = linesOf(project)
  expectSame(`${on}: require`, run(project, node, 'required.cjs'), RECORDED)
  expectSame(`${on}: import`, run(project, node, 'imported.mjs'), RECORDED)
  const loaded = run(project, node, 'load-all.cjs', ...entryPoints())
  expectSame(`${on}: every entry, required and imported`, loaded, 'loaded\n')
  const flags = permissions(node, join(project, 'logs'))
  const told = run(project, node, ...flags, 'required.cjs')
  expectSame(`${on}: ${flags.join(' ').replace(project, '.')}`, told, RECORDED)
  expectSame(`${on}: a line in the log for each`, linesOf(project) - before, 3)
}

/** As little as the audit needs; Node has renamed the flag since version 20. */
function permissions(node: string, logs: string): string[] {
  const isKnown = run('.', node, '-p', "process.allowedNodeEnvironmentFlags.has('--permission')")
  const flag = isKnown === 'true\n' ? '--permission' : '--experimental-permission'
  return [
    flag,
    '--no-warnings',
    '--allow-worker',
    '--allow-fs-read=*',
    `--allow-fs-write=${logs}/*`,
  ]
}

function linesOf(project: string): number {
  try {
    return readFileSync(join(project, 'logs/exec.log'), 'utf8').split('\n').length - 1
  } catch {
    return 0
  }
}
