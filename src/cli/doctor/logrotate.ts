import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { quoteArgument } from '../shared/escape'
import { ok, type Verdict, warn } from './finding'
import type { Subject } from './subject'

/*
 * The rules of logrotate for the log. The writer follows a rename by itself, so a rule needs no
 * script; but one that truncates loses what was written while it copied.
 *
 * logrotate itself says what it would do with a log that is there and has content. Of any other it says
 * nothing, so its configuration is read as it reads that: in one order, with defaults that hold from where they
 * stand.
 */

const MAIN_FILE = '/etc/logrotate.conf'
const SBIN = ':/usr/sbin:/sbin'
const ASK_MS = 5_000
/** Of an included folder, files with these ends are not read. */
const IGNORED =
  /(?:\.(?:bak|cfsaved|disabled|dpkg-(?:bak|del|dist|new|old|tmp)|rhn-cfg-tmp-.*|rpmnew|rpmorig|rpmsave|swp|ucf-(?:dist|new|old))|,v|~)$/
const SCRIPT = /^(?:pre|post)rotate$|^(?:first|last|pre)action$|^preremove$/
const INCLUDES_MAX = 8

/** How the log is rotated, and who says so. */
export interface Rotation {
  readonly file: string
  readonly copiesAndTruncates: boolean
  readonly compressesAtOnce: boolean
  /** The directives of its own block that stand on a line each, and can be edited by a command. */
  readonly editable?: readonly string[]
  /** Why logrotate never rotates it, in its own words. */
  readonly refusal?: string
}

/** A block of a configuration file: the paths it is for, and the rule that holds for them. */
export interface RotationRule extends Rotation {
  readonly patterns: readonly string[]
}

export function checkRotation({ path }: Subject): Verdict {
  const rule = readRules(MAIN_FILE, textOf).find(({ patterns }) =>
    patterns.some((pattern) => matches(path, pattern)),
  )
  if (rule === undefined) {
    return warn(
      `no rule of logrotate that this user may read names it, so it grows until the disk is full, unless something else rotates it`,
      '# the manual (docs/operations.md, Rotation) has a rule for logrotate',
    )
  }
  const said = hasContent(path) ? whatLogrotateSays(path) : undefined
  return judge(said === undefined ? rule : { ...rule, ...said })
}

export function judge(rotation: Rotation): Verdict {
  const { file, copiesAndTruncates, compressesAtOnce, editable = [], refusal } = rotation
  const edit = (script: string) => `sudo sed -i '${script}' ${quoteArgument(file)}`
  const add = (directive: string) => `# add ${directive} to its block in ${quoteArgument(file)}`
  if (refusal !== undefined) {
    return warn(`${file} names it, but logrotate does not rotate it: ${refusal}`, `man logrotate`)
  }
  if (copiesAndTruncates) {
    return warn(
      `${file} rotates it by copytruncate, which loses the lines written while it copies; the writer follows a rename by itself`,
      editable.includes('copytruncate') ? edit('/^\\s*copytruncate/d') : add('nocopytruncate'),
    )
  }
  if (compressesAtOnce) {
    return warn(
      `${file} compresses it at once, and may lose a line that is just being written`,
      editable.includes('compress')
        ? edit('s/^\\s*compress\\s*$/&\\n    delaycompress/')
        : add('delaycompress'),
    )
  }
  return ok(`${file} rotates it by rename, which the writer follows`)
}

/** The effects of the directives so far; the later one of two holds. */
interface Effects {
  copytruncate: boolean
  compress: boolean
  delaycompress: boolean
}

interface Block {
  readonly patterns: readonly string[]
  readonly effects: Effects
  /** Its directives. */
  readonly names: string[]
}

/** Reads logrotate's configuration, with the files that it includes, in its order. */
class ConfigReader {
  readonly rules: RotationRule[] = []
  readonly #defaults: Effects = { copytruncate: false, compress: false, delaycompress: false }
  readonly #textOf: (file: string) => string

  constructor(textOf: (file: string) => string) {
    this.#textOf = textOf
  }

  read(file: string, depth = 0): void {
    let paths: string[] = []
    let block: Block | undefined
    let isScript = false
    const text = this.#textOf(file)
    for (const line of linesOf(text)) {
      const [name = '', ...values] = line.split(/[\s=]+/)
      if (isScript) isScript = name !== 'endscript'
      else if (SCRIPT.test(name)) isScript = true
      else if (line === '{') {
        block = { patterns: paths, effects: { ...this.#defaults }, names: [] }
        paths = []
      } else if (line === '}') {
        if (block !== undefined) this.rules.push(ruleOf(file, text, block))
        block = undefined
      } else if (block !== undefined) {
        apply(block.effects, name)
        block.names.push(name)
      }
      // The paths of a block may stand on several lines before its brace.
      else if (/^["'/]/.test(line)) paths.push(...split(line))
      else if (name === 'include') this.#include(values.join(' '), depth)
      else apply(this.#defaults, name)
    }
  }

  #include(path: string, depth: number): void {
    if (depth < INCLUDES_MAX) for (const file of filesAt(path)) this.read(file, depth + 1)
  }
}

/** The blocks of a configuration file, and of those that it includes. */
export function readRules(file: string, textOf: (file: string) => string): RotationRule[] {
  const reader = new ConfigReader(textOf)
  reader.read(file)
  return reader.rules
}

/** The lines without comments, each brace on its own. */
function linesOf(text: string): string[] {
  return text
    .replace(/(^|\s)#.*/gm, '$1')
    .replace(/(^|[\s"'])([{}])(?=\s|$)/gm, '$1\n$2\n')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

function apply(effects: Effects, line: string): void {
  for (const name of line.split(/\s+/)) {
    const isOn = !name.startsWith('no')
    const effect = isOn ? name : name.slice(2)
    if (effect === 'copytruncate' || effect === 'compress' || effect === 'delaycompress') {
      effects[effect] = isOn
    }
  }
}

function ruleOf(file: string, text: string, { patterns, effects, names }: Block): RotationRule {
  const { copytruncate, compress, delaycompress } = effects
  const isAlone = (name: string) => new RegExp(`^\\s*${name}\\s*$`, 'm').test(text)
  return {
    file,
    patterns,
    copiesAndTruncates: copytruncate,
    compressesAtOnce: compress && !delaycompress,
    editable: ['copytruncate', 'compress'].filter((name) => names.includes(name) && isAlone(name)),
  }
}

/** Splits names at spaces; some are in quotes. */
function split(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, name]) => double ?? single ?? name ?? '',
  )
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

/** A file, or the files of a folder that logrotate reads, in its order. */
function filesAt(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path]
    const names = readdirSync(path).filter((name) => !IGNORED.test(name))
    return names.sort().map((name) => join(path, name))
  } catch {
    return []
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function hasContent(path: string): boolean {
  try {
    return statSync(path).size > 0
  } catch {
    return false
  }
}

/** What logrotate would do with a log; undefined if it does not say. With -d it does nothing. */
function whatLogrotateSays(path: string): Omit<Rotation, 'file'> | undefined {
  const { stdout, stderr } = spawnSync(
    'logrotate',
    ['-d', '-f', '-s', '/nonexistent/state', MAIN_FILE],
    {
      encoding: 'utf8',
      timeout: ASK_MS,
      env: { ...process.env, PATH: `${process.env.PATH ?? ''}${SBIN}`, LC_ALL: 'C' },
    },
  )
  return readDebugOutput(`${stdout ?? ''}${stderr ?? ''}`, path)
}

/** Reads what `logrotate -d -f` says of a log. */
export function readDebugOutput(output: string, path: string): Omit<Rotation, 'file'> | undefined {
  const [, said = ''] = `\n${output}`.split(`\nconsidering log ${path}\n`)
  const [own = ''] = said.split(/\n(?:considering log|rotating pattern:) /)
  const [, refusal] = /^error: (skipping .*)/m.exec(own) ?? []
  if (refusal !== undefined) return { copiesAndTruncates: false, compressesAtOnce: false, refusal }
  const renamed = own.indexOf(`renaming ${path} to `)
  const copied = own.indexOf(`copying ${path} to `)
  if (renamed < 0 && copied < 0) return undefined
  return {
    copiesAndTruncates: own.includes(`truncating ${path}`),
    // What it compresses before is the log that the last rotation has left.
    compressesAtOnce: own.indexOf('compressing log with', Math.max(renamed, copied)) >= 0,
  }
}
