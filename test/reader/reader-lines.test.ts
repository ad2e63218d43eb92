import type { AuditProblem } from '../../src'
import { parseLine } from '../../src/format/parse-line'
import { isProblem } from '../../src/format/records'
import { AGENT_ID, MACHINE_ID, REQUEST_ID, startedLine } from '../support/events'

const HEAD = (event: string) => `{"event":"${event}","ts_unix_ms":7,"request_id":"${REQUEST_ID}"`
const PARTIES = `,"agent_id":"${AGENT_ID}","machine_id":"${MACHINE_ID}"`
const STARTED = startedLine(1).trimEnd()
const request = (argv: string, acl = 'null', stdin = '0') =>
  `${HEAD('request')}${PARTIES},"argv":${argv},"matched_acl":${acl},"stdin_bytes":${stdin},"timeout_ms":5}`
/** A denial with this behind its reason. */
const denial = (rest: string, argv = '[]') =>
  `${HEAD('denial')}${PARTIES},"argv":${argv},"reason":"spawn_failed"${rest}}`
/** A request's end with a context of this JSON. */
const withContext = (json: string) => `${request('[]').slice(0, -1)},"context":${json}}`
const CONTEXT = 'an object of 1 to 64 strings, 16 KiB in all'
const exit = (code: string, durationMs = '1') =>
  `${HEAD('exit')},"code":${code},"signal":null,"duration_ms":${durationMs},"stdout_bytes":2,"stderr_bytes":3,"truncated":false}`

function problemOf(text: string): AuditProblem {
  const parsed = parseLine(text)
  if (isProblem(parsed)) return parsed
  throw new Error(`taken for an event: ${text}`)
}

describe('parseLine', () => {
  it.each([
    [
      request('["ls","a\\"b","\\u0000\\n","ü😀","],\\"matched_acl\\":null"]', '"r\\\\1"'),
      {
        event: 'request',
        tsUnixMs: 7,
        requestId: REQUEST_ID,
        agentId: AGENT_ID,
        machineId: MACHINE_ID,
        argv: ['ls', 'a"b', '\0\n', 'ü😀', '],"matched_acl":null'],
        matchedAcl: 'r\\1',
        stdinBytes: 0,
        timeoutMs: 5,
      },
    ],
    [
      `${HEAD('started')},"pid":4294967295}`,
      { event: 'started', tsUnixMs: 7, requestId: REQUEST_ID, pid: 2 ** 32 - 1 },
    ],
    [
      `${HEAD('warning')},"kind":"lease_expired","bytes":null}`,
      { event: 'warning', tsUnixMs: 7, requestId: REQUEST_ID, kind: 'lease_expired', bytes: null },
    ],
    [
      `${HEAD('warning')},"kind":"cancelled","bytes":18446744073709551615}`,
      {
        event: 'warning',
        tsUnixMs: 7,
        requestId: REQUEST_ID,
        kind: 'cancelled',
        bytes: 2n ** 64n - 1n,
      },
    ],
    [
      exit('-2147483648', '9007199254740993'),
      {
        event: 'exit',
        tsUnixMs: 7,
        requestId: REQUEST_ID,
        code: -(2 ** 31),
        signal: null,
        durationMs: 2n ** 53n + 1n,
        stdoutBytes: 2,
        stderrBytes: 3,
        truncated: false,
      },
    ],
    [
      `${HEAD('denial')}${PARTIES},"argv":[],"reason":"spawn_failed"}`,
      {
        event: 'denial',
        tsUnixMs: 7,
        requestId: REQUEST_ID,
        agentId: AGENT_ID,
        machineId: MACHINE_ID,
        argv: [],
        reason: 'spawn_failed',
      },
    ],
    [
      denial(
        ',"context":{"principal":"a\\"b","stdin_bytes":"1","reason":",\\"reason\\":","constructor":""}',
        '["C:\\\\udata"]',
      ),
      {
        event: 'denial',
        tsUnixMs: 7,
        requestId: REQUEST_ID,
        agentId: AGENT_ID,
        machineId: MACHINE_ID,
        argv: ['C:\\udata'],
        reason: 'spawn_failed',
        context: {
          principal: 'a"b',
          stdin_bytes: '1',
          reason: ',"reason":',
          constructor: '',
        },
      },
    ],
  ])('reads the event that was written: %s', (text, event) => {
    const place = { line: 1, offset: 0, length: Buffer.byteLength(text) }
    expect(parseLine(text)).toEqual({ ...event, ...place })
  })

  it('keeps 2^53 - 1 a number, and makes 2^53 a bigint', () => {
    expect(parseLine(exit('0', '9007199254740991'))).toMatchObject({ durationMs: 2 ** 53 - 1 })
    expect(parseLine(exit('0', '9007199254740992'))).toMatchObject({ durationMs: 2n ** 53n })
  })

  const FORM =
    'it has other spaces, digits or escapes than a writer writes, a number out of range, or a key twice'
  it.each([
    ['{"event":"request","ts_un', 'torn', undefined, 'a fragment of an event'],
    ['{"ev', 'torn', undefined, 'a fragment of an event'],
    [
      `{"event":"sta${STARTED}`,
      'torn',
      undefined,
      'a fragment of an event, with another one behind it at character 13',
    ],
    ['\0\0\0', 'torn', undefined, 'it holds zero bytes, as a power cut leaves them'],
    [`${STARTED}\r`, 'foreign', undefined, 'it ends with a carriage return (CRLF)'],
    [`\ufeff${STARTED}`, 'foreign', undefined, 'it begins with a byte order mark'],
    ['hello', 'foreign', undefined, 'it is no JSON'],
    ['[1]', 'foreign', undefined, 'expected a JSON object, got an array'],
    ['null', 'foreign', undefined, 'expected a JSON object, got null'],
    ['{}', 'foreign', 'event', 'event: missing'],
    ['{"event":7}', 'foreign', 'event', 'event: unknown to this version: 7'],
    ['{"event":"\u202ex"}', 'foreign', 'event', 'event: unknown to this version: "\\u202ex"'],
    [`${HEAD('resumed')}}`, 'newer', 'event', 'event: unknown to this version: "resumed"'],
    [
      `${HEAD('warning')},"kind":"paused","bytes":1}`,
      'newer',
      'kind',
      'kind: unknown to this version: "paused"',
    ],
    [`${HEAD('started')}}`, 'foreign', 'pid', 'pid: missing'],
    [`${HEAD('started')},"pid":1,"x":2}`, 'foreign', 'x', '"x": not a key of started'],
    [
      `${HEAD('started')},"__proto__":{},"pid":1}`,
      'foreign',
      '__proto__',
      '"__proto__": not a key of started',
    ],
    [
      `{"ts_unix_ms":7,"event":"started","request_id":"${REQUEST_ID}","pid":1}`,
      'foreign',
      'event',
      'event: not at its place in the order of the keys',
    ],
    [
      `{"event":"started","request_id":"${REQUEST_ID}","ts_unix_ms":7,"pid":1}`,
      'foreign',
      'ts_unix_ms',
      'ts_unix_ms: not at its place in the order of the keys',
    ],
    [
      `${HEAD('started')},"pid":4294967296}`,
      'foreign',
      'pid',
      'pid: expected an integer from 0 to 2^32 - 1, got 4294967296',
    ],
    [
      exit('1.5'),
      'foreign',
      'code',
      'code: expected an integer from -2^31 to 2^31 - 1, or null, got 1.5',
    ],
    [
      exit('0').replace(REQUEST_ID, REQUEST_ID.toUpperCase()),
      'foreign',
      'request_id',
      `request_id: expected 32 hexadecimal digits in lower case, got "${REQUEST_ID.toUpperCase()}"`,
    ],
    [
      request('["a",1]'),
      'foreign',
      'argv',
      'argv: expected an array of strings of well-formed Unicode, got an array',
    ],
    [
      request('[]', '"\\ud800"'),
      'foreign',
      'matched_acl',
      'matched_acl: expected a string of well-formed Unicode, or null, got "\\ud800"',
    ],
    [
      request(`${'['.repeat(100_000)}${']'.repeat(100_000)}`),
      'foreign',
      'argv',
      'argv: expected an array of strings of well-formed Unicode, got an array',
    ],
    [exit('0', '1e3'), 'foreign', undefined, FORM],
    [exit('0', '1.0'), 'foreign', undefined, FORM],
    [exit('-0'), 'foreign', undefined, FORM],
    [exit('0', '18446744073709551616'), 'foreign', undefined, FORM],
    [`${HEAD('started')}, "pid":1}`, 'foreign', undefined, FORM],
    [`${HEAD('started')},"pid":1,"pid":1}`, 'foreign', undefined, FORM],
    [request('["\\u0041"]'), 'foreign', undefined, FORM],
    [request('["a"],"argv":["b"]'), 'foreign', undefined, FORM],
    [request('[]', 'null', '0,"stdin_bytes":0'), 'foreign', undefined, FORM],
    [withContext('{}'), 'foreign', 'context', `context: expected ${CONTEXT}, got an object`],
    [withContext('"x"'), 'foreign', 'context', `context: expected ${CONTEXT}, got "x"`],
    [withContext('{"a":1}'), 'foreign', 'context', `context: expected ${CONTEXT}, got an object`],
    [
      withContext('{"a b":""}'),
      'foreign',
      'context',
      `context: expected ${CONTEXT}, got an object`,
    ],
    [
      withContext('{"a":"\\udc00"}'),
      'foreign',
      'context',
      `context: expected ${CONTEXT}, got an object`,
    ],
    [
      withContext(`{"a":"${'x'.repeat(16 * 1024)}"}`),
      'foreign',
      'context',
      `context: expected ${CONTEXT}, got an object`,
    ],
    [
      withContext(
        JSON.stringify(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, '']))),
      ),
      'foreign',
      'context',
      `context: expected ${CONTEXT}, got an object`,
    ],
    [withContext('{"a":"x", "b":"y"}'), 'foreign', undefined, FORM],
    [withContext('{"a":"x","a":"y"}'), 'foreign', undefined, FORM],
    [withContext('{"a":"\\u0041"}'), 'foreign', undefined, FORM],
    [`${withContext('{"a":"x"}')} `, 'foreign', undefined, FORM],
    [denial(',"context":{"a":"x"},"b":1'), 'foreign', 'b', '"b": not a key of denial'],
    [
      denial('').replace(',"reason"', ',"context":{"a":"x"},"reason"'),
      'foreign',
      'reason',
      'reason: not at its place in the order of the keys',
    ],
    [
      `${HEAD('started')},"pid":1,"context":{"a":"x"}}`,
      'foreign',
      'context',
      '"context": not a key of started',
    ],
  ])('reports a line that is no event: %.60s', (text, kind, field, message) => {
    const length = Buffer.byteLength(text)
    const excerpt = text.slice(0, 120)
    const place = { line: 1, offset: 0, length, isIncomplete: false, excerpt }
    expect(problemOf(text)).toEqual({ ...place, kind, field, message })
  })
})
