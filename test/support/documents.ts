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

/** Every Markdown file that people read, by its path from the root. */
export const DOCUMENTS: readonly string[] = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'), { encoding: 'utf8', recursive: true })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name))
    .sort(),
]

export function textOf(document: string): string {
  return readFileSync(join(ROOT, document), 'utf8')
}

/** The fenced blocks of a language, in the order of the document. */
export function blocksOf(document: string, language: string): string[] {
  const fences = textOf(document).matchAll(/^```(\S*)\n([\s\S]*?)^```$/gm)
  return [...fences].flatMap(([, tag, text = '']) => (tag === language ? [text] : []))
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
