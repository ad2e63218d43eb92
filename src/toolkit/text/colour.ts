import { styleText } from 'node:util'
import type { TextStream } from './width'

type Style = Parameters<typeof styleText>[0]

/** Colours text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string

export const COLOUR_CHOICES = ['auto', 'always', 'never'] as const
export type ColourChoice = (typeof COLOUR_CHOICES)[number]

/** Colours on a terminal, unless the user wants none (https://no-color.org), or as the user has chosen. */
export function painter(
  stream: TextStream,
  env: NodeJS.ProcessEnv = process.env,
  choice: ColourChoice = 'auto',
): Paint {
  const isForTerminal = stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'
  const isColoured = choice === 'auto' ? isForTerminal : choice === 'always'
  // Without the last argument a later Node would check its own standard output.
  return isColoured
    ? (style, text) => styleText(style, text, { validateStream: false })
    : (_, text) => text
}
