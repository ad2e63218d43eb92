import { codeOf, textOf } from '../../base/describe'
import { adviceOnCertificate } from '../stream/certificate'
import { StreamError, type StreamErrorKind } from '../stream/stream-error'
import type { NatsClient } from './nats-modules'

/* The server's own numbers of errors (server/errors.json). */
const STREAM_NOT_FOUND = 10059
const JETSTREAM_NOT_ENABLED = [10039, 10076]
const WRONG_LAST = [10070, 10071, 10164]
const STORE_FAILED = 10077
const NO_ROOM = [10002, 10023, 10028, 10047]
const TEMPORARY = 503

/** What the client has thrown, as a {@link StreamError}. */
export function natsError(client: NatsClient, name: string, thrown: unknown): StreamError {
  if (thrown instanceof StreamError) return thrown
  const { JetStreamApiError } = client.jetstream
  if (thrown instanceof JetStreamApiError) return apiError(name, thrown.code, thrown.status, thrown)
  const of = (kind: StreamErrorKind, advice: string) =>
    new StreamError(kind, `${name}: ${reason(thrown)}: ${advice}`, { cause: thrown })
  // Another attempt would meet the same certificate.
  const [distrust] = causes(thrown).flatMap((each) => adviceOnCertificate(each) ?? [])
  if (distrust !== undefined) return of('refused', distrust)
  const { errors } = client.core
  const isOne = (...classes: readonly ErrorClass[]) =>
    causes(thrown).some((each) => classes.some((Class) => each instanceof Class))
  if (isOne(errors.AuthorizationError, errors.UserAuthenticationExpiredError)) {
    return of('refused', 'give credentials that the server takes, with --creds FILE or NATS_CREDS')
  }
  if (isOne(errors.PermissionViolationError)) {
    return of('refused', "give the user that permission in the server's configuration")
  }
  if (isOne(errors.NoRespondersError)) {
    return of('unreachable', 'JetStream is off, or no stream takes the subject')
  }
  if (isOne(errors.InvalidSubjectError, errors.InvalidArgumentError)) {
    return of('usage', 'correct the name of the stream or the subject')
  }
  return of('unreachable', 'see whether the server runs and can be reached')
}

type ErrorClass = new (...args: never[]) => Error

function apiError(name: string, code: number, status: number, thrown: unknown): StreamError {
  const of = (kind: StreamErrorKind, advice: string) =>
    new StreamError(kind, `${name}: ${reason(thrown)}: ${advice}`, { cause: thrown })
  if (code === STREAM_NOT_FOUND) return of('missing', 'make it, or have it made with --create')
  if (JETSTREAM_NOT_ENABLED.includes(code)) {
    return of('refused', 'enable JetStream for the server and the account')
  }
  if (WRONG_LAST.includes(code)) {
    return of('fenced', 'somebody else has appended; read the tail again')
  }
  const isFull = code === STORE_FAILED && /exceeded|space|resource/i.test(textOf(thrown))
  if (isFull || NO_ROOM.includes(code)) {
    return of('full', 'give the stream or the server more room')
  }
  if (status === TEMPORARY) return of('unreachable', 'the server or its cluster is not ready')
  return of('refused', "change the stream's or the server's configuration")
}

/** What was thrown, and what caused it. */
function causes(thrown: unknown): unknown[] {
  const found: unknown[] = []
  for (let each = thrown; each !== undefined && found.length < 8; ) {
    found.push(each)
    each = each instanceof Error ? each.cause : undefined
  }
  return found
}

function reason(thrown: unknown): string {
  const code = codeOf(thrown)
  const text = thrown instanceof Error && thrown.message !== '' ? thrown.message : textOf(thrown)
  return code === undefined || text.includes(code) ? text : `${text} (${code})`
}
