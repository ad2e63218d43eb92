import { openStream } from '../../../src/ship/open-stream'
import { gapMarker, oversizeMarker } from '../../../src/ship/stream/markers'
import type { Message } from '../../../src/ship/stream/message'
import type { Stream, StreamOptions } from '../../../src/ship/stream/stream'
import { StreamError } from '../../../src/ship/stream/stream-error'
import { ENGINES } from '../../support/servers/engines'
import {
  collected,
  lines,
  lineText,
  messagesOf,
  START_MS,
  sha256,
} from '../../support/servers/messages'
import type { TestServer } from '../../support/servers/test-server'

/** The kind and the text of the error that it rejects with. */
async function refused(promise: Promise<unknown>): Promise<readonly [string, string]> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (thrown instanceof StreamError) return [thrown.kind, thrown.message]
  throw new Error(`no StreamError: ${thrown}`)
}

const bodiesOf = (messages: readonly Message[]) => messages.map(({ body }) => body.toString())

describe.each(ENGINES)('a stream of %s', (_name, engine) => {
  const { it } = engine
  let server: TestServer
  let opened: Stream[] = []
  let count = 0
  let key = ''

  beforeAll(async () => {
    server = await engine.start({ maxMessageBytes: 1_048_576 })
  })
  afterAll(() => server?.stop())
  beforeEach(async () => {
    key = `log-${count++}`
    await engine.make(server, key)
  })
  afterEach(async () => {
    await Promise.all(opened.map((stream) => stream.close()))
    opened = []
  })

  async function open(options: Partial<StreamOptions> = {}, address = server.address) {
    const stream = await openStream(engine.url(address), { stream: key, ...options })
    opened.push(stream)
    return stream
  }

  it('is empty and unused at first', async () => {
    const stream = await open()
    const { position, message, wasUsed } = await stream.tail()
    expect([message, wasUsed]).toEqual([undefined, false])
    expect(await collected(stream.read())).toEqual([])
    expect(await stream.append([], position)).toBe(position)
  })

  it('holds lines in order, byte for byte, blank and repeated ones too', async () => {
    const stream = await open()
    const bytes = Buffer.from([0, 10, 13, 255, 128, 34])
    const messages = messagesOf(['', 'twice', 'twice', '', bytes, 'ünïcode', 'x'.repeat(100_000)])
    const { position } = await stream.tail()
    const end = await stream.append(messages, position)
    expect(end).toBe(engine.position(6))
    const stored = messages.map((message, index) => ({
      ...message,
      position: engine.position(index),
    }))
    expect(await collected(stream.read())).toEqual(stored)
    expect(await stream.tail()).toEqual({ position: end, message: stored[6], wasUsed: true })
  })

  it('takes thousands at once, and hundreds in flight', async () => {
    const stream = await open({ inFlight: 300 })
    const end = await stream.append(lines(0, 3_000), (await stream.tail()).position)
    expect(end).toBe(engine.position(2_999))
    expect(await stream.append(lines(3_000, 1), end)).toBe(engine.position(3_000))
    expect(bodiesOf(await collected(stream.read()))).toEqual(bodiesOf(lines(0, 3_001)))
  })

  it('takes one at a time', async () => {
    const stream = await open({ inFlight: 1 })
    await stream.append(lines(0, 20), (await stream.tail()).position)
    expect(bodiesOf(await collected(stream.read()))).toEqual(bodiesOf(lines(0, 20)))
  })

  it('refuses to append anywhere but at its end, and stores nothing then', async () => {
    const stream = await open()
    const start = (await stream.tail()).position
    await stream.append(lines(0, 10), start)
    for (const after of [start, engine.position(8), engine.position(10)]) {
      const other = messagesOf(['other', 'lines'], after === start ? 0 : 20)
      expect((await refused(stream.append(other, after)))[0]).toBe('fenced')
    }
    expect(bodiesOf(await collected(stream.read()))).toEqual(bodiesOf(lines(0, 10)))
  })

  it('lets one of two writers through, and the other one find what is there', async () => {
    const [one, other] = [await open(), await open()]
    const start = (await one.tail()).position
    expect(await other.tail()).toEqual(await one.tail())
    const results = await Promise.allSettled([
      one.append(lines(0, 500), start),
      other.append(messagesOf(lines(0, 500).map(({ index }) => `other ${index}`)), start),
    ])
    const isFirst = results[0].status === 'fulfilled'
    expect(results.map(({ status }) => status)).toEqual(
      isFirst ? ['fulfilled', 'rejected'] : ['rejected', 'fulfilled'],
    )
    const loser = isFirst ? other : one
    const { position, message } = await loser.tail()
    expect([position, message?.index]).toEqual([engine.position(499), 499])
    expect(await loser.append(lines(500, 1), position)).toBe(engine.position(500))
    expect(await collected(one.read())).toHaveLength(501)
  })

  it('finds the last line behind checkpoints and markers', async () => {
    const stream = await open()
    const [first] = lines(0, 1)
    const long = sha256('a long line')
    const marker = oversizeMarker(1, 9_999_999, long)
    const gap = gapMarker(2, 7, 'the file is gone')
    const note = Buffer.from('origin\n8\nroot\n')
    const at = (kind: Message['kind'], index: number, body: Buffer, prev?: Buffer): Message => ({
      ...{ kind, index, body, prev, origin: 'gateway/1', sha256: sha256(body) },
    })
    const messages: Message[] = [
      at('checkpoint', 0, note),
      ...(first === undefined ? [] : [first]),
      { ...at('oversize', 1, marker, first?.sha256), sha256: long },
      at('gap', 7, gap, long),
      at('checkpoint', 8, note, sha256(gap)),
      at('checkpoint', 8, Buffer.from('another'), sha256(gap)),
      at('checkpoint', 8, Buffer.from('a third'), sha256(gap)),
    ]
    const end = await stream.append(messages, (await stream.tail()).position)
    const stored = await collected(stream.read())
    expect(stored.map(({ position, ...message }) => message)).toEqual(messages)
    expect(await stream.tail()).toEqual({ position: end, message: stored[3], wasUsed: true })
    const more = messagesOf(['line 8'], 8, sha256(gap))
    await stream.append(more, end)
    expect((await stream.tail()).message).toMatchObject({ kind: 'line', index: 8 })
    expect(marker.toString()).toBe(
      `{"oversize":{"index":1,"bytes":9999999,"sha256":"${long.toString('hex')}"}}`,
    )
    expect(gap.toString()).toBe('{"gap":{"from":2,"to":7,"reason":"the file is gone"}}')
  })

  it('reads from a position on, and from what is still there', async () => {
    const stream = await open()
    await stream.append(lines(0, 700), (await stream.tail()).position)
    await engine.trim(server, key, 400)
    const read = async (index: number) => {
      const found = await collected(stream.read({ position: engine.position(index) }))
      return [found.length, found[0]?.index, found.at(-1)?.index]
    }
    expect(await read(0)).toEqual([400, 300, 699])
    expect(await read(650)).toEqual([50, 650, 699])
    expect(await read(699)).toEqual([1, 699, 699])
    expect(await read(700)).toEqual([0, undefined, undefined])
  })

  it('reads the lines since a time by the lines themselves', async () => {
    const stream = await open()
    const bodies = lines(0, 600).map(({ body, index }) => (index % 100 === 50 ? '' : body))
    await stream.append(messagesOf(bodies), (await stream.tail()).position)
    for (const [index, first] of [
      [-10, 0],
      [0, 0],
      [1, 1],
      [350, 351],
      [599, 599],
      [600, undefined],
    ]) {
      const sinceMs = START_MS + (index ?? 0) * 1_000
      const found = await collected(stream.read({ sinceMs }))
      expect(found[0]?.index).toBe(first)
      expect(found.length).toBe(first === undefined ? 0 : 600 - first)
    }
  })

  it('has been used if it was purged, and goes on at its next position', async () => {
    const stream = await open()
    const end = await stream.append(lines(0, 5), (await stream.tail()).position)
    await engine.purge(server, key)
    expect(await stream.tail()).toEqual({ position: end, message: undefined, wasUsed: true })
    expect(await collected(stream.read())).toEqual([])
    expect(await stream.append(lines(5, 1), end)).toBe(engine.position(5))
    expect((await stream.tail()).message?.body.toString()).toBe(lineText(5))
  })

  it('has its tail after a trim', async () => {
    const stream = await open()
    const end = await stream.append(lines(0, 5), (await stream.tail()).position)
    await engine.trim(server, key, 1)
    const { position, message } = await stream.tail()
    expect([position, message?.index]).toEqual([end, 4])
  })

  it('reports a message that no shipper has written', async () => {
    const stream = await open()
    const end = await stream.append(lines(0, 2), (await stream.tail()).position)
    await engine.addForeign(server, key)
    expect((await refused(stream.append(lines(2, 1), end)))[0]).toBe('fenced')
    const [kind, text] = await refused(stream.tail())
    expect(kind).toBe('foreign')
    expect(text).toMatch(
      /^message \S+ in stream log-\d+ of 127\.0\.0\.1:\d+ has no X0x-Index and X0x-Origin: no shipper has written it so; find out who writes to the stream, and ship to another one$/,
    )
    expect((await refused(collected(stream.read())))[0]).toBe('foreign')
  })

  it('reports a missing stream, and makes it if asked to', async () => {
    await engine.remove(server, key)
    const [kind, text] = await refused(open())
    expect(kind).toBe('missing')
    expect(text).toMatch(/: make it, or have it made with --create$|: make the stream, or have/)
    const stream = await open({ create: true, ...engine.subject(`${key}.lines`) })
    const { position, wasUsed } = await stream.tail()
    expect(wasUsed).toBe(false)
    await stream.append(lines(0, 3), position)
    // It is not made anew.
    expect((await (await open({ create: true })).tail()).message?.index).toBe(2)
  })

  it('reports a stream that was removed meanwhile', async () => {
    const stream = await open({ timeoutMs: 2_000 })
    const end = await stream.append(lines(0, 2), (await stream.tail()).position)
    await engine.remove(server, key)
    const [kind] = await refused(stream.append(lines(2, 2), end))
    expect(['missing', 'unreachable']).toContain(kind)
    expect((await refused(stream.tail()))[0]).toBe('missing')
  })

  it('knows how long a body may be', async () => {
    const stream = await open()
    const { maxBodyBytes } = stream
    expect(maxBodyBytes).toBe(engine.name === 'JetStream' ? 1_048_576 - 1_024 : 1_048_576)
    const { position } = await stream.tail()
    const [longest, longer] = [Buffer.alloc(maxBodyBytes, 'x'), Buffer.alloc(maxBodyBytes + 1, 'x')]
    expect(await refused(stream.append(messagesOf(['short', longer]), position))).toEqual([
      'usage',
      `${stream.name}: a body of ${maxBodyBytes + 1} bytes is above ${maxBodyBytes}: append a marker in its place`,
    ])
    await stream.append(messagesOf(['short', longest]), position)
    expect((await stream.tail()).message?.body.equals(longest)).toBe(true)
  })

  it('refuses a password in the URL, and shows none', async () => {
    const scheme = engine.url('')
    const [kind, text] = await refused(
      openStream(`${scheme}gateway:hunter2@127.0.0.1:1`, { stream: key }),
    )
    expect(kind).toBe('usage')
    expect(text).toMatch(/^the URL of 127\.0\.0\.1:1 has a password in it: put it into /)
    expect(text).not.toContain('hunter2')
  })

  it('is closed once', async () => {
    const stream = await open()
    await stream.close()
    await stream.close()
    expect(await refused(stream.tail())).toEqual(['usage', `${stream.name} is closed`])
  })

  it('reports that nobody listens', async () => {
    const [kind, text] = await refused(openStream(engine.url('127.0.0.1:9'), { stream: key }))
    expect(kind).toBe('unreachable')
    expect(text).toMatch(/127\.0\.0\.1:9: .*: see whether the server runs and can be reached$/)
  })
})
