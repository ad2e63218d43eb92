import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { quoteArgument } from '../shared/escape'
import { ok, type Verdict, warn } from './finding'
import type { Subject } from './subject'

/*
 * The rules of logrotate for the log. The writer follows a rename by itself, so a rule needs no
 * script; but one that truncates loses what was written while it copied.
 */

const MAIN_FILE = '/etc/logrotate.conf'
const FOLDER = '/etc/logrotate.d'

/** A block of a configuration file: the paths it is for, and its directives' lines. */
export interface RotationRule {
  readonly file: string
  readonly patterns: readonly string[]
  readonly directives: readonly string[]
}

export function checkRotation({ path }: Subject): Verdict {
  const rules = filesOf().flatMap((file) => parseRules(file, textOf(file)))
  const rule = rules.find(({ patterns }) => patterns.some((pattern) => matches(path, pattern)))
  if (rule === undefined)
    return ok(`no rule of logrotate names it, so it grows until something else rotates it`)
  return judge(rule)
}

export function judge({ file, directives }: RotationRule): Verdict {
  const has = (name: string) => directives.some((line) => line.split(/[\s=]/)[0] === name)
  const edit = (script: string) => `sudo sed -i '${script}' ${quoteArgument(file)}`
  if (has('copytruncate')) {
    return warn(
      `${file} rotates it by copytruncate, which loses the lines written while it copies; the writer follows a rename by itself`,
      edit('/^\\s*copytruncate/d'),
    )
  }
  if (has('compress') && !has('delaycompress')) {
    return warn(
      `${file} compresses it at once, and may lose a line that is just being written`,
      edit('s/^\\s*compress\\s*$/&\\n    delaycompress/'),
    )
  }
  return ok(`${file} rotates it by rename, which the writer follows`)
}

/** The blocks of a configuration file; lines outside of them set defaults, and are left out. */
export function parseRules(file: string, text: string): RotationRule[] {
  const rules: RotationRule[] = []
  let patterns = ''
  let directives: string[] | undefined
  for (const raw of text.split('\n')) {
    const line = raw.replace(/#.*/, '').trim()
    if (directives === undefined) {
      // The paths of a block may stand on several lines before its brace.
      patterns = /^["/]/.test(line) ? `${patterns} ${line}` : line === '{' ? `${patterns} {` : ''
      if (!patterns.includes('{')) continue
      directives = []
      rules.push({ file, patterns: split(patterns.slice(0, patterns.indexOf('{'))), directives })
    } else if (line === '}') {
      directives = undefined
      patterns = ''
    } else if (line !== '') directives.push(line)
  }
  return rules
}

/** Splits names at spaces; some are in quotes. */
function split(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|(\S+)/g)].map(([, named, name]) => named ?? name ?? '')
}

/** Whether a shell pattern is for a path; a `*` does not cross a slash. */
export function matches(path: string, pattern: string): boolean {
  const source = pattern.replace(/\*|\?|\[[^\]]*]|./gs, (part) => {
    if (part === '*') return '[^/]*'
    if (part === '?') return '[^/]'
    return part.length > 1 ? part.replace('[!', '[^') : part.replace(/[^\w/]/, '\\$&')
  })
  return new RegExp(`^${source}$`).test(path)
}

function filesOf(): string[] {
  try {
    return [MAIN_FILE, ...readdirSync(FOLDER).map((name) => join(FOLDER, name))]
  } catch {
    return [MAIN_FILE]
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
