import { openStream } from '../../src/ship/open-stream'
import type { StreamOptions } from '../../src/ship/stream/stream'

const refused = (url: string, options: Partial<StreamOptions> = {}) =>
  openStream(url, { stream: 'log', ...options }).then(
    () => 'it opened',
    (error: unknown) => String(error),
  )

describe('openStream', () => {
  it.each([
    [
      'kafka://h:1',
      'expected a URL as nats://HOST:PORT, tls://HOST:PORT, redis://HOST:PORT or rediss://HOST:PORT',
    ],
    ['nats://', 'expected a URL as nats://HOST:PORT or tls://HOST:PORT, got "nats://"'],
    ['nats://a:b@', 'expected a URL as nats://HOST:PORT or tls://HOST:PORT, got "nats://...@"'],
    [
      'nats://token@h:1',
      'the URL of h:1 has a user in it: put it into a credentials file, and name that with --creds FILE or NATS_CREDS',
    ],
    [
      'nats://g:1,nats://u:p@h:1',
      'the URL of h:1 has a password in it: put it into a credentials file, and name that with --creds FILE or NATS_CREDS',
    ],
    ['redis://u:p@h', 'the URL of h has a password in it: put it into REDIS_PASSWORD'],
    ['redis://h/log', "the URL of h has a path that is no database's number"],
    ['rediss://h?a=b', 'the URL of h has options in it: give them apart'],
  ])('refuses %s', async (url, text) => {
    expect(await refused(url)).toBe(`StreamError: ${text}`)
  })

  it('refuses credentials that cannot be read', async () => {
    expect(await refused('nats://h:1', { creds: '/nowhere/creds' })).toBe(
      "StreamError: the credentials file cannot be read: Error: ENOENT: no such file or directory, open '/nowhere/creds'",
    )
  })

  it.each([
    [{ stream: '' }, 'RangeError: options.stream: expected a text that is not empty, got ""'],
    [
      { inFlight: 0 },
      'RangeError: options.inFlight: expected an integer from 1 to 65536, got the number 0',
    ],
    [
      { timeoutMs: 99 },
      'RangeError: options.timeoutMs: expected an integer from 100 to 600000, got the number 99',
    ],
  ])('refuses the options %j', async (options, text) => {
    expect(await refused('nats://h:1', options)).toBe(text)
  })

  it('refuses a subject for Redis', async () => {
    expect(await refused('redis://h:1', { subject: 'a' })).toBe(
      'StreamError: a stream of Redis has no subject: leave --subject out',
    )
  })
})
