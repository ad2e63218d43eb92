import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

const ROOT = join(__dirname, '../..')

/** Every Markdown file of the project, by its path from the root. */
export const DOCUMENTS: readonly string[] = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...['docs', 'src', 'test'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { encoding: 'utf8', recursive: true })
      .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
      .map((name) => join(folder, name))
      .sort(),
  ),
]

export function textOf(document: string): string {
  return readFileSync(join(ROOT, document), 'utf8')
}

/** The fenced blocks of a language, in the order of the document. */
export function blocksOf(document: string, language: string): string[] {
  const fences = textOf(document).matchAll(/^```(\S*)\n([\s\S]*?)^```$/gm)
  return [...fences].flatMap(([, tag, text = '']) => (tag === language ? [text] : []))
}

/** The text between `<!-- mark -->` and `<!-- /mark -->`. Throws if the document has no such marks. */
function markedIn(document: string, mark: string): string {
  const [, marked] =
    new RegExp(`<!-- ${mark} -->([\\s\\S]*?)<!-- /${mark} -->`).exec(textOf(document)) ?? []
  if (marked === undefined)
    throw new Error(`${document} has no <!-- ${mark} --> ... <!-- /${mark} -->`)
  return marked
}

/** The cells of the table between the marks, row by row, with the header first. */
export function tableOf(document: string, mark: string): string[][] {
  const rows = markedIn(document, mark)
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^[|\s-]+$/.test(line))
  return rows.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/** The names in backquotes of a cell. */
export function namesIn(cell = ''): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
}

/** Makes a folder with the snippet as `snippet.mjs` and the package installed. */
export function placeSnippet(folder: string, snippet: string): void {
  const installed = join(folder, 'node_modules/x0x-exec-audit')
  mkdirSync(dirname(installed), { recursive: true })
  if (!existsSync(installed)) symlinkSync(ROOT, installed)
  writeFileSync(join(folder, 'snippet.mjs'), snippet)
}

/** Runs a snippet unchanged in a folder where the package is installed; returns its output. */
export function runSnippet(folder: string, snippet: string): string {
  placeSnippet(folder, snippet)
  return execFileSync(process.execPath, ['snippet.mjs'], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}
