import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeOptionsPage, OPTIONS_PAGE } from './options-page'

/*
 * `npm run docs`: makes the reference of the API, docs/api, and the page of the options from the
 * docstrings; with --check it only says whether they are current. A public name without a docstring is an
 * error (typedoc.json).
 */

const ROOT = join(__dirname, '../..')
const TYPEDOC = join(ROOT, 'node_modules/typedoc/bin/typedoc')
export const REFERENCE = join(ROOT, 'docs/api')
const INDEX = 'README.md'

/** The files of a reference, by their names. */
export function readReference(folder: string): ReadonlyMap<string, string> {
  const all = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const names = all.filter((name) => name.endsWith('.md')).sort()
  return new Map(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

/** Makes the reference in `folder`. Throws, with what typedoc says, for anything undocumented. */
export function makeReference(folder: string): void {
  const args = [TYPEDOC, '--out', folder, '--logLevel', 'Warn']
  execFileSync(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
  const pages = [...readReference(folder)].filter(([name]) => name !== INDEX)
  appendFileSync(join(folder, INDEX), pages.map(([name, text]) => indexOf(name, text)).join(''))
}

/** What one page has, by its groups: typedoc lists the pages alone. */
function indexOf(name: string, text: string): string {
  const [, ...groups] = text.split(/^## /m)
  const lists = groups.map((group) => {
    const entries = group.matchAll(/^<a id="([^"]+)"><\/a>\n\n### (.+)$/gm)
    const links = [...entries].map(([, anchor, title]) => `[${title}](${name}#${anchor})`)
    return `- ${group.slice(0, group.indexOf('\n'))}: ${links.join(', ')}\n`
  })
  return `\n## ${name.replace(/\.md$/, '')}\n\n${lists.join('')}`
}

/** Replaces the reference, or with `isCheck` leaves it; returns the names of files that were not current. */
function update(isCheck: boolean): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'exec-audit-api-'))
  try {
    makeReference(folder)
    const [made, there] = [readReference(folder), readReference(REFERENCE)]
    const names = [...new Set([...made.keys(), ...there.keys()])]
    if (!isCheck) {
      rmSync(REFERENCE, { recursive: true })
      cpSync(folder, REFERENCE, { recursive: true })
    }
    return names.filter((name) => made.get(name) !== there.get(name)).map((name) => `api/${name}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The same for the page of the options. */
function updateOptions(isCheck: boolean): string[] {
  const there = readFileSync(OPTIONS_PAGE, 'utf8')
  const made = makeOptionsPage(there)
  if (!isCheck) writeFileSync(OPTIONS_PAGE, made)
  return made === there ? [] : ['options.md']
}

function main(): void {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
  const changed = [...update(values.check), ...updateOptions(values.check)]
  for (const name of changed) {
    console.log(`docs/${name}: ${values.check ? 'not current, run npm run docs' : 'written'}`)
  }
  if (values.check && changed.length > 0) process.exitCode = 1
}

if (require.main === module) main()
