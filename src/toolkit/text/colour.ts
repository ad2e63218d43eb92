import { styleText } from 'node:util'

/** What is known of where text goes. */
export interface TextStream {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

type Style = Parameters<typeof styleText>[0]

/** Colours text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string

/** The cells of a terminal's line; a pipe, and a terminal that does not know them, has no limit. */
export function widthOf({ isTTY, columns = 0 }: TextStream): number {
  return isTTY === true && columns > 0 ? columns : Number.POSITIVE_INFINITY
}

/** Colours on a terminal, unless the user wants none (https://no-color.org). */
export function painter(stream: TextStream, env: NodeJS.ProcessEnv = process.env): Paint {
  const isColored = stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'
  // Without the last argument a later Node would ask its own standard output.
  return isColored
    ? (style, text) => styleText(style, text, { validateStream: false })
    : (_, text) => text
}
