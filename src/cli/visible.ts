/**
 * Control characters, what turns the direction of text, line separators, invisible marks, and halves of
 * pairs: all that could move a terminal's cursor, hide text or forge a line.
 */
const INVISIBLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Surrogate}/gu

/** Text from a log for a terminal: what would act on it instead of being seen is shown as an escape. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, escaped)
}

function escaped(character: string): string {
  const code = character.charCodeAt(0)
  const hex = code.toString(16)
  return code <= 0xff ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`
}
