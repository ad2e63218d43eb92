import type { Message } from '../stream/message'
import { StreamError } from '../stream/stream-error'

/*
 * Ids of Redis rise by themselves or as they are given. Ours say the line: INDEX+1 - 0, for the id 0-0
 * is none; the checkpoints that follow it are INDEX+1 - 1, - 2, and so on.
 */

/** The end of a stream that was never used. */
export const START_ID = '0-0'

/** The two numbers of an id. */
export function partsOf(id: string): readonly [number, number] {
  const [, high, low] = /^(\d{1,15})-(\d{1,15})$/.exec(id) ?? []
  if (high !== undefined && low !== undefined) return [Number(high), Number(low)]
  throw new RangeError(`position: expected an id of Redis, got ${JSON.stringify(id)}`)
}

/** The ids of messages that follow one another, from the position before them on. */
export function idsAfter(after: string, messages: readonly Message[], name: string): string[] {
  let [high, low] = partsOf(after)
  return messages.map(({ kind, index }) => {
    const next: readonly [number, number] =
      kind !== 'checkpoint' ? [index + 1, 0] : [index, high === index ? low + 1 : 1]
    if (next[0] < high || (next[0] === high && next[1] <= low)) {
      const text = `${name}: the id of line ${index} would be ${next.join('-')}, and ${high}-${low} is there`
      throw new StreamError('refused', `${text}: ids only rise; ship to another key`)
    }
    ;[high, low] = next
    return next.join('-')
  })
}
