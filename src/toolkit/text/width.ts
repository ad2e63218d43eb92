/** What text takes on a terminal: a cell a character, mostly. */

/** Characters that take no cell, and such that take two. */
const NO_CELL = /\p{M}/u
const TWO_CELLS =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]/u
const PRINTABLE_ASCII = /^[ -~]*$/

/** The text in so many cells at most; where it is longer, with an ellipsis at its end. */
export function cutToWidth(text: string, width: number): string {
  if (text.length <= width && PRINTABLE_ASCII.test(text)) return text
  let cells = 0
  let end = 0
  /** Where to cut, so that the ellipsis still fits. */
  let fitting = 0
  for (const character of text) {
    cells += cellsOf(character)
    if (cells > width) return `${text.slice(0, fitting)}…`
    end += character.length
    if (cells < width) fitting = end
  }
  return text
}

/** How many cells the text takes. */
export function cellCount(text: string): number {
  if (PRINTABLE_ASCII.test(text)) return text.length
  let cells = 0
  for (const character of text) cells += cellsOf(character)
  return cells
}

function cellsOf(character: string): number {
  if (NO_CELL.test(character)) return 0
  return TWO_CELLS.test(character) ? 2 : 1
}

/** Where text stands on a terminal. */
export interface TextPlace {
  readonly width: number
  /** The cells before it in its first line. */
  readonly column: number
  /** The cells before it in the others. */
  readonly indent: number
}

/** The text in lines, broken at spaces. A word that is longer than a line, such as a path, stays whole. */
export function wrapText(text: string, { width, column, indent }: TextPlace): string {
  let wrapped = ''
  let cells = column
  for (const word of text.split(' ')) {
    const length = cellCount(word)
    if (wrapped === '') {
      wrapped = word
      cells += length
    } else if (cells + 1 + length <= width) {
      wrapped += ` ${word}`
      cells += 1 + length
    } else {
      wrapped += `\n${' '.repeat(indent)}${word}`
      cells = indent + length
    }
  }
  return wrapped
}
