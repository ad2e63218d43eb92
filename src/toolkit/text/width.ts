import { eastAsianWidth } from 'get-east-asian-width'

/*
 * The width of text on a terminal, in columns. It errs on one side: no terminal should need more columns than
 * are counted here, since a line that is longer than its terminal goes on where the next one begins, and there
 * an argument could pass for a line of the log. Text that is measured has been escaped: it has no controls, no
 * joiners and no characters that Unicode has not assigned.
 */

/** Marks that stand on the character before them. Spacing ones (Mc) take a column of their own. */
const NO_WIDTH = /[\p{Mn}\p{Me}]/u
/**
 * Two columns on some terminals, whatever East_Asian_Width says: halves of flags and other pictures, hands and
 * people that take a skin colour, Khmer's QAA (alacritty), circled numbers on black squares (xterm).
 */
const WIDE_SOMEWHERE = /[\u{1f000}-\u{1faff}\p{Emoji_Modifier_Base}\u17a4\u3248-\u324f]/u
/** Three columns in alacritty. */
const KHMER_BEYYAL = '\u17d8'
/** Asks for the colourful form of the character before it, which takes two columns. */
const EMOJI_SELECTOR = '\ufe0f'
const PRINTABLE_ASCII = /^[ -~]*$/
const LATIN_FIRST = 0xa0

/** Whether the locale is one in which terminals show Greek, Cyrillic and box characters in two columns. */
export function isAmbiguousWide({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  return /^(?:zh|ja|ko)/i.test(LC_ALL || LC_CTYPE || LANG || '')
}

const AMBIGUOUS_AS_WIDE = isAmbiguousWide(process.env)

/** Measures text, character by character. */
class Ruler {
  used = 0
  #last = 0

  constructor(readonly ambiguousAsWide: boolean) {}

  /** Takes the next character. */
  take(character: string): void {
    if (character === EMOJI_SELECTOR) {
      if (this.#last === 1) this.used++
      return
    }
    const width = this.#widthOf(character)
    if (width > 0) this.#last = width
    this.used += width
  }

  #widthOf(character: string): number {
    const code = character.codePointAt(0) ?? 0
    if (code < LATIN_FIRST) return 1
    if (NO_WIDTH.test(character)) return 0
    if (character === KHMER_BEYYAL) return 3
    if (WIDE_SOMEWHERE.test(character)) return 2
    return eastAsianWidth(code, { ambiguousAsWide: this.ambiguousAsWide })
  }
}

const ELLIPSIS = '…'

/** The text cut to a width, with an ellipsis at its end if it was longer. */
export function cutToWidth(
  text: string,
  width: number,
  ambiguousAsWide = AMBIGUOUS_AS_WIDE,
): string {
  if (text.length <= width && PRINTABLE_ASCII.test(text)) return text
  const ellipsis = textWidth(ELLIPSIS, ambiguousAsWide)
  const ruler = new Ruler(ambiguousAsWide)
  let end = 0
  /** Where to cut, so that the ellipsis still fits. */
  let fitting = 0
  for (const character of text) {
    ruler.take(character)
    if (ruler.used > width) return `${text.slice(0, fitting)}${ellipsis > width ? '' : ELLIPSIS}`
    end += character.length
    if (ruler.used + ellipsis <= width) fitting = end
  }
  return text
}

/** The columns that the text takes. */
export function textWidth(text: string, ambiguousAsWide = AMBIGUOUS_AS_WIDE): number {
  if (PRINTABLE_ASCII.test(text)) return text.length
  const ruler = new Ruler(ambiguousAsWide)
  for (const character of text) ruler.take(character)
  return ruler.used
}

/** As many characters of a word go to the next line with it; a longer one is broken, or lines would stay empty. */
const FOLDED_WORD_MAX = 24

/**
 * Where the text has to be broken, so that no line of it is longer than the terminal is wide: the offsets
 * at which the second and later lines begin. A space near the end of a line is taken for it.
 */
export function foldsOf(
  text: string,
  { width, column, indent }: TextPlace,
  ambiguousAsWide = AMBIGUOUS_AS_WIDE,
): number[] {
  const folds: number[] = []
  if (width === Number.POSITIVE_INFINITY) return folds
  // On a terminal that is narrower than the indent, each line has one character.
  const room = Math.max(width - indent, 2)
  let left = width - column
  let ruler = new Ruler(ambiguousAsWide)
  let at = 0
  let word = 0
  for (const character of text) {
    const isFresh = ruler.used === 0 && (folds.length > 0 || column <= indent)
    ruler.take(character)
    if (ruler.used > left && !isFresh) {
      const begun = text.slice(word, at + character.length)
      const isWhole =
        word > (folds.at(-1) ?? 0) &&
        begun.length <= FOLDED_WORD_MAX &&
        textWidth(begun, ambiguousAsWide) <= room
      folds.push(isWhole ? word : at)
      left = room
      ruler = new Ruler(ambiguousAsWide)
      for (const each of isWhole ? begun : character) ruler.take(each)
    }
    at += character.length
    if (character === ' ') word = at
  }
  return folds
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
