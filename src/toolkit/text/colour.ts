import { styleText } from 'node:util'
import type { TextStream } from './width'

type Style = Parameters<typeof styleText>[0]

/** Colours text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string

/** Colours on a terminal, unless the user wants none (https://no-color.org). */
export function painter(stream: TextStream, env: NodeJS.ProcessEnv = process.env): Paint {
  const isColoured = stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'
  // Without the last argument a later Node would check its own standard output.
  return isColoured
    ? (style, text) => styleText(style, text, { validateStream: false })
    : (_, text) => text
}
