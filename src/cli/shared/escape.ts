/*
 * The text in a log was written by strangers: an argument may hold characters that move a terminal's
 * cursor, colours its text, reverses its order, or ends a line.
 */

/**
 * Control characters (C0, DEL, C1), those that reorder or hide text, line and paragraph separators,
 * halves of surrogate pairs, what Unicode leaves to private or no use, and letters, marks and symbols that show
 * nothing: fillers, a blank pattern of Braille, variation selectors other than those of emoji.
 */
const UNSAFE =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\u115f\u1160\u2800\u3164\uffa0]|\u034f|[\u17b4\u17b5]|[\u180b-\u180f]|[\ufe00-\ufe0d]|[\u{e0100}-\u{e01ef}]/gu
/** An argument that a shell takes literally. */
const PLAIN_ARGUMENT = /^[\p{L}\p{M}\p{N}_@%+=:,./-]+$/u
const BYTE_MAX = 0xff
const UNIT_MAX = 0xffff

/** The text with every character visible that a terminal would act on, as bash writes it: `\x1b`, `\u202e`. */
export function visible(text: string): string {
  return text.replace(UNSAFE, visibleCharacter)
}

function visibleCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  const digits = code.toString(16)
  if (code <= BYTE_MAX) return `\\x${digits.padStart(2, '0')}`
  return code <= UNIT_MAX ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`
}

/** The JSON text with the same characters as JSON escapes, so that it means what it meant. */
export function visibleJson(json: string): string {
  return json.replace(UNSAFE, (character) =>
    Array.from({ length: character.length }, (_, i) => {
      return `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
    }).join(''),
  )
}

/**
 * An argument as one would type it in bash: quoted if a shell would take it apart, and as `$'…'`
 * if a character has to be escaped.
 */
export function quoteArgument(argument: string): string {
  const shown = visible(argument)
  if (shown !== argument) {
    const escaped = argument.replace(/['\\]/g, '\\$&')
    return `$'${visible(escaped.replaceAll('\n', '\\n').replaceAll('\t', '\\t'))}'`
  }
  if (PLAIN_ARGUMENT.test(argument)) return argument
  return `'${argument.replaceAll("'", "'\\''")}'`
}

/** Shown for an empty argv; an argument of this text would be quoted. */
export const NO_ARGUMENTS = '(empty argv)'

/** Arguments with spaces between them. */
export function quoteArgv(argv: readonly string[]): string {
  return argv.length === 0 ? NO_ARGUMENTS : argv.map(quoteArgument).join(' ')
}
