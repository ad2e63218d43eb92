/* The width of text on a terminal: one column per character, mostly. */

/** Characters of no width, and of two columns. */
const NO_WIDTH = /\p{M}/u
const TWO_COLUMNS =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]/u
const PRINTABLE_ASCII = /^[ -~]*$/

/** The text cut to a width, with an ellipsis at its end if it was longer. */
export function cutToWidth(text: string, width: number): string {
  if (text.length <= width && PRINTABLE_ASCII.test(text)) return text
  let used = 0
  let end = 0
  /** Where to cut, so that the ellipsis still fits. */
  let fitting = 0
  for (const character of text) {
    used += characterWidth(character)
    if (used > width) return `${text.slice(0, fitting)}…`
    end += character.length
    if (used < width) fitting = end
  }
  return text
}

/** The columns that the text takes. */
export function textWidth(text: string): number {
  if (PRINTABLE_ASCII.test(text)) return text.length
  let width = 0
  for (const character of text) width += characterWidth(character)
  return width
}

function characterWidth(character: string): number {
  if (NO_WIDTH.test(character)) return 0
  return TWO_COLUMNS.test(character) ? 2 : 1
}

/** The place of text on a terminal. */
export interface TextPlace {
  readonly width: number
  /** The columns before it in its first line. */
  readonly column: number
  /** The columns before it in the others. */
  readonly indent: number
}

/** The text in lines, broken at spaces. A word that is longer than a line, such as a path, stays whole. */
export function wrapText(text: string, { width, column, indent }: TextPlace): string {
  let wrapped = ''
  let used = column
  for (const word of text.split(' ')) {
    const length = textWidth(word)
    if (wrapped === '') {
      wrapped = word
      used += length
    } else if (used + 1 + length <= width) {
      wrapped += ` ${word}`
      used += 1 + length
    } else {
      wrapped += `\n${' '.repeat(indent)}${word}`
      used = indent + length
    }
  }
  return wrapped
}

/** A stream for text, as far as its terminal is known. */
export interface TextStream {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

/** The columns of a terminal; a pipe, and a terminal that does not know them, has no limit. */
export function terminalWidth({ isTTY, columns = 0 }: TextStream): number {
  return isTTY === true && columns > 0 ? columns : Number.POSITIVE_INFINITY
}
