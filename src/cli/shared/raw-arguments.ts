import { isUtf8 } from 'node:buffer'
import { readFileSync, readlinkSync } from 'node:fs'

/*
 * Arguments, variables and paths are bytes to the kernel, and text to Node, which puts U+FFFD in the place of
 * what is not UTF-8: another argument, and another file, than the one that was named.
 */

const NUL = 0
const REPLACEMENT = '\u{fffd}'

/** The index of the first argument that is not UTF-8 in these bytes of /proc/self/cmdline; -1 if all are. */
export function notUtf8Index(args: readonly string[], raw: Buffer | undefined): number {
  const bytes = raw === undefined ? [] : fieldsOf(raw).slice(-args.length)
  return args.findIndex((arg, i) => {
    const own = bytes.length === args.length ? bytes[i] : undefined
    // Without the bytes, or if a title has been written over them, the argument itself must do.
    return own === undefined || own.toString() !== arg ? arg.includes(REPLACEMENT) : !isUtf8(own)
  })
}

/** The bytes of the arguments, if the system shows them. */
export function rawArguments(): Buffer | undefined {
  return read('/proc/self/cmdline')
}

/** The names of this process's variables that are not UTF-8, name or value. */
export function notUtf8Variables(raw = read('/proc/self/environ')): string[] {
  const fields = raw === undefined ? [] : fieldsOf(raw)
  return fields.filter((field) => !isUtf8(field)).map((field) => String(field).split('=')[0] ?? '')
}

/** Whether the working folder's path is UTF-8, as far as the system says. */
export function isFolderUtf8(): boolean {
  try {
    return isUtf8(readlinkSync('/proc/self/cwd', { encoding: 'buffer' }))
  } catch {
    return true
  }
}

function read(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}

/** Each ends in a NUL. */
function fieldsOf(raw: Buffer): Buffer[] {
  const fields: Buffer[] = []
  let start = 0
  for (let end = raw.indexOf(NUL); end >= 0; end = raw.indexOf(NUL, start)) {
    fields.push(raw.subarray(start, end))
    start = end + 1
  }
  return fields
}
