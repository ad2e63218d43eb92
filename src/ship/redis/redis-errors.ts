import { textOf } from '../../base/describe'
import { adviceOnCertificate } from '../stream/certificate'
import { StreamError, type StreamErrorKind } from '../stream/stream-error'

/** The first word of a reply that is an error, or its text, with what it means and what to do next. */
const MEANINGS: readonly (readonly [RegExp, StreamErrorKind, string])[] = [
  [/^FENCED\b/, 'fenced', 'somebody else has appended; read the tail again'],
  [/^ERR no such key/, 'missing', 'make the stream, or have it made with --create'],
  [/^OOM\b/, 'full', 'give the server more memory (maxmemory)'],
  [/^MISCONF\b/, 'full', "see the server's log: its disk may be full"],
  [/^(NOAUTH|WRONGPASS)\b/, 'refused', 'put the right password into REDIS_PASSWORD'],
  [/without any password configured/, 'refused', 'unset REDIS_PASSWORD: the server has none'],
  [/^NOPERM\b/, 'refused', "give the user that permission in the server's ACL"],
  [/^WRONGTYPE\b/, 'refused', 'the key holds something else; ship to another one'],
  [/^READONLY\b/, 'refused', 'it is a replica; ship to its primary'],
  [/^MOVED\b/, 'refused', 'it is a cluster; ship to the node that has the key'],
  [/^NOREPLICAS\b/, 'unreachable', 'too few replicas are connected (min-replicas-to-write)'],
  [/^ERR\b/, 'refused', 'see whether the server is Redis 5 or newer'],
]

/** What the client has thrown, as a {@link StreamError}. */
export function redisError(name: string, thrown: unknown): StreamError {
  if (thrown instanceof StreamError) return thrown
  const text = thrown instanceof Error && thrown.message !== '' ? thrown.message : textOf(thrown)
  const distrust = adviceOnCertificate(thrown)
  if (distrust !== undefined) {
    return new StreamError('refused', `${name}: ${text}: ${distrust}`, { cause: thrown })
  }
  const [, kind, advice] = MEANINGS.find(([pattern]) => pattern.test(text)) ?? [
    undefined,
    'unreachable',
    'see whether the server runs and can be reached',
  ]
  return new StreamError(kind, `${name}: ${text}: ${advice}`, { cause: thrown })
}
