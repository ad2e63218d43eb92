import type { Message } from './message'

/** As far as the time reaches in any line. */
const HEAD_BYTES = 64
const TIME = /^\{"event":"[a-z]+","ts_unix_ms":(\d{1,15})[,}]/

/** A line's own time, in ms since 1970; undefined for what is no line of this package. */
export function lineTime({ kind, body }: Message): number | undefined {
  if (kind !== 'line') return undefined
  const digits = TIME.exec(body.toString('latin1', 0, HEAD_BYTES))?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/**
 * Leaves out the lines that are older than a time. What has no time of its own is as old as the line
 * before it; before the first line with a time it is left out.
 */
export async function* linesSince<Item extends Message>(
  messages: AsyncIterable<Item>,
  sinceMs: number,
): AsyncGenerator<Item> {
  let isRecent = false
  for await (const message of messages) {
    const time = lineTime(message)
    if (time !== undefined) isRecent = time >= sinceMs
    if (isRecent) yield message
  }
}
