import { openStream } from '../../../src/ship/open-stream'
import type { Message } from '../../../src/ship/stream/message'
import type { Stream } from '../../../src/ship/stream/stream'
import { StreamError, type StreamErrorKind } from '../../../src/ship/stream/stream-error'
import { ENGINES } from '../../support/servers/engines'
import { collected, lines, messagesOf } from '../../support/servers/messages'
import { TcpProxy } from '../../support/servers/tcp-proxy'
import type { TestServer } from '../../support/servers/test-server'
import { patient, until } from '../../support/waiting'

const LOG = lines(0, 1_000)
const KEY = 'log'

async function kindOf(promise: Promise<unknown>): Promise<StreamErrorKind | undefined> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (thrown === undefined || thrown instanceof StreamError) return thrown?.kind
  throw thrown
}

const bodiesOf = (messages: readonly Message[]) => messages.map(({ body }) => body.toString())

describe.each(ENGINES)('a stream of %s', (_name, engine) => {
  const { it } = engine
  let server: TestServer
  let proxy: TcpProxy | undefined
  let streams: Stream[]

  beforeEach(async () => {
    streams = []
    proxy = undefined
    server = await engine.start()
    await engine.make(server, KEY)
  })
  afterEach(async () => {
    server.resume()
    await Promise.all(streams.map((stream) => stream.close()))
    await proxy?.stop()
    await server.stop()
  })

  async function open(address = server.address, timeoutMs = 10_000): Promise<Stream> {
    const stream = await openStream(engine.url(address), { stream: KEY, timeoutMs, inFlight: 512 })
    streams.push(stream)
    return stream
  }

  async function openBehindProxy(timeoutMs?: number) {
    const between = await TcpProxy.start(server.port)
    proxy = between
    return { between, stream: await open(between.address, timeoutMs) }
  }

  /** Goes on behind the tail until all lines are there, and returns what has failed. */
  async function ship(stream: Stream, log: readonly Message[] = LOG): Promise<StreamErrorKind[]> {
    const failures: StreamErrorKind[] = []
    for (;;) {
      const { position, message } = await stream.tail()
      const next = message === undefined ? 0 : message.index + 1
      if (next === log.length) return failures
      const kind = await kindOf(stream.append(log.slice(next), position))
      if (kind !== undefined) failures.push(kind)
    }
  }

  /** What is stored, which must be each line once and in order. */
  async function expectLog(log: readonly Message[] = LOG): Promise<void> {
    const reader = await open()
    expect(bodiesOf(await collected(reader.read()))).toEqual(bodiesOf(log))
  }

  it('has each line once if the connection is cut between store and acknowledgement', async () => {
    const { between, stream } = await openBehindProxy()
    const { position } = await stream.tail()
    between.cutBeforeAnswer()
    expect(await kindOf(stream.append(LOG, position))).toBe('unreachable')
    await ship(stream)
    await expectLog()
  })

  it('has each line once if acknowledgements are swallowed', async () => {
    const { between, stream } = await openBehindProxy(patient(1_000))
    const { position } = await stream.tail()
    between.swallow(true)
    expect(await kindOf(stream.append(LOG, position))).toBe('unreachable')
    between.swallow(false)
    await ship(await open(between.address))
    await expectLog()
  })

  it('has each line once if its server stands still for longer than the limit', async () => {
    const stream = await open(server.address, patient(1_000))
    const { position } = await stream.tail()
    server.pause()
    expect(await kindOf(stream.append(LOG, position))).toBe('unreachable')
    server.resume()
    // What was in flight may still be stored while the tail is read: then the next append is refused.
    const failures = await ship(await open())
    expect(failures.filter((kind) => kind !== 'fenced')).toEqual([])
    await expectLog()
  })

  it('has each acknowledged line, and no line twice, after SIGKILL of its server', async () => {
    const { between, stream } = await openBehindProxy()
    const first = await stream.append(LOG.slice(0, 300), (await stream.tail()).position)
    // It is killed when it has stored some, and before the client knows of any.
    between.swallow(true)
    const { answers } = between
    const cut = kindOf(stream.append(LOG.slice(300), first))
    await until('it has stored nothing', () => between.answers > answers)
    await server.kill()
    expect(await cut).toBe('unreachable')
    expect(await kindOf(stream.tail())).toBe('unreachable')
    between.swallow(false)
    await server.restart()
    const { message } = await stream.tail()
    expect(message?.index).toBeGreaterThanOrEqual(299)
    await ship(stream)
    await expectLog()
  })

  it('lets writers of one log take turns, with each line once', async () => {
    const writers = await Promise.all([open(), open(), open()])
    const failures = await Promise.all(writers.map((writer) => ship(writer)))
    expect(failures.flat().filter((kind) => kind !== 'fenced')).toEqual([])
    await expectLog()
  })

  it('never stores a line behind anything but the line before it', async () => {
    const [stream, other] = [await open(), await open()]
    const start = await stream.append(LOG.slice(0, 10), (await stream.tail()).position)
    // A checkpoint shifts what follows by one: the second line in flight would find the sequence that it expects.
    const [note] = messagesOf(['a checkpoint'], 10, LOG[9]?.sha256)
    const results = await Promise.all([
      kindOf(other.append(note === undefined ? [] : [{ ...note, kind: 'checkpoint' }], start)),
      kindOf(stream.append(LOG.slice(10, 600), start)),
    ])
    expect([...results].sort()).toEqual(['fenced', undefined])
    await ship(stream)
    const stored = await collected((await open()).read())
    expect(bodiesOf(stored.filter(({ kind }) => kind === 'line'))).toEqual(bodiesOf(LOG))
  })

  it('keeps what it has when it is full, and goes on once there is room', async () => {
    const full = 'full'
    await engine.make(server, full, { maxBytes: 2_000_000 })
    const stream = await openStream(engine.url(server.address), { stream: full })
    streams.push(stream)
    const long = messagesOf(LOG.map(({ index }) => `${index} ${'x'.repeat(4_000)}`))
    // In pieces, because what Redis has received and not stored yet counts, too.
    let count = 0
    let kind: StreamErrorKind | undefined
    for (let { position } = await stream.tail(); kind === undefined; ) {
      kind = await kindOf(stream.append(long.slice(count, count + 50), position))
      const tail = await stream.tail()
      count = (tail.message?.index ?? -1) + 1
      position = tail.position
    }
    expect(kind).toBe('full')
    expect(count).toBeGreaterThan(0)
    expect(count).toBeLessThan(long.length)
    expect(bodiesOf(await collected(stream.read()))).toEqual(bodiesOf(long.slice(0, count)))
    await engine.enlarge(server, full)
    await ship(stream, long)
    expect(bodiesOf(await collected(stream.read()))).toEqual(bodiesOf(long))
  })

  it('goes on after a trim and a restart of its server', async () => {
    const stream = await open()
    await stream.append(LOG.slice(0, 500), (await stream.tail()).position)
    await engine.trim(server, KEY, 1)
    await server.kill()
    await server.restart()
    expect(await ship(stream)).toEqual([])
    await expectLog(LOG.slice(499))
  })

  it('knows that it has been used after a purge and a restart of its server', async () => {
    const stream = await open()
    const end = await stream.append(LOG.slice(0, 500), (await stream.tail()).position)
    await engine.purge(server, KEY)
    await server.kill()
    await server.restart()
    expect(await stream.tail()).toEqual({ position: end, message: undefined, wasUsed: true })
  })
})

describe.each(ENGINES)('%s with a password', (_name, engine) => {
  const { it } = engine
  let server: TestServer
  const password = process.env.REDIS_PASSWORD

  beforeAll(async () => {
    server = await engine.start({ password: 'right' })
  })
  afterAll(() => server?.stop())
  afterEach(() => {
    if (password === undefined) delete process.env.REDIS_PASSWORD
    else process.env.REDIS_PASSWORD = password
  })

  const open = (client?: Record<string, string>) =>
    openStream(engine.url(server.address), {
      ...{ stream: KEY, create: true, ...engine.subject(KEY) },
      ...(client === undefined ? {} : { client }),
    })

  it.each([undefined, 'wrong'])('refuses %s', async (given) => {
    const client = given === undefined ? undefined : engine.credentials(given)
    expect(await kindOf(open(client))).toBe('refused')
  })

  it('takes the right one', async () => {
    const stream = await open(engine.credentials('right'))
    expect((await stream.tail()).wasUsed).toBe(false)
    await stream.close()
  })
})
