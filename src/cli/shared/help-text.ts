import { terminalWidth, wrapText } from '../../toolkit/text/width'

/** As commander has it for the options, if the terminal does not know its columns. */
const WIDTH_DEFAULT = 80

/**
 * Text below a command's options: its paragraphs in lines of the terminal's width, and indented lines, which are
 * examples to paste, as they are.
 */
export function helpText(text: string): () => string {
  return () => {
    const known = terminalWidth(process.stdout)
    const place = { width: Number.isFinite(known) ? known : WIDTH_DEFAULT, column: 0, indent: 0 }
    return text
      .replace(/(?<=^\S.*)\n(?=\S)/gm, ' ')
      .split('\n')
      .map((line) => (line.startsWith(' ') ? line : wrapText(line, place)))
      .join('\n')
  }
}
