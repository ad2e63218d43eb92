import { openStream } from '../../../src/ship/open-stream'
import type { Stream, StreamOptions } from '../../../src/ship/stream/stream'
import { StreamError } from '../../../src/ship/stream/stream-error'
import { collected, lines } from '../../support/servers/messages'
import { manageNats, NATS, startNats } from '../../support/servers/nats-engine'
import type { TestServer } from '../../support/servers/test-server'

const { it } = NATS

describe('a stream of JetStream', () => {
  let server: TestServer
  let opened: Stream[] = []

  beforeAll(async () => {
    server = await NATS.start()
  })
  afterAll(() => server?.stop())
  afterEach(async () => {
    await Promise.all(opened.map((stream) => stream.close()))
    opened = []
  })

  async function open(stream: string, options: Partial<StreamOptions> = {}) {
    const found = await openStream(NATS.url(server.address), { stream, ...options })
    opened.push(found)
    return found
  }

  const appended = async (stream: Stream) =>
    stream.append(lines(0, 3), (await stream.tail()).position).catch(String)

  it('that collects others or is a mirror can be read, and not be shipped to', async () => {
    await NATS.make(server, 'one')
    await manageNats(server, async ({ streams }) => {
      await streams.add({ name: 'all', sources: [{ name: 'one' }] })
      await streams.add({ name: 'copy', mirror: { name: 'one' } })
    })
    const [all, copy] = [await open('all'), await open('copy')]
    expect([await collected(all.read()), await collected(copy.read())]).toEqual([[], []])
    expect(await appended(all)).toBe(
      `StreamError: stream all of ${server.address} collects other streams: ship to another stream`,
    )
    expect(await appended(copy)).toBe(
      `StreamError: stream copy of ${server.address} is a mirror: ship to another stream`,
    )
  })

  it('that takes several subjects needs one to be named', async () => {
    await manageNats(server, ({ streams }) => streams.add({ name: 'many', subjects: ['many.*'] }))
    expect(await appended(await open('many'))).toBe(
      `StreamError: stream many of ${server.address} takes many.*: name one subject of these with --subject`,
    )
    expect(await appended(await open('many', { subject: 'many.one' }))).toBe('3')
  })

  it('that acknowledges nothing is refused', async () => {
    await manageNats(server, ({ streams }) =>
      streams.add({ name: 'mute', subjects: ['mute'], no_ack: true }),
    )
    expect(await appended(await open('mute'))).toMatch(/ acknowledges nothing \(no_ack\): ship to/)
  })

  it('is not made without a subject', async () => {
    expect(await open('new', { create: true }).catch(String)).toBe(
      `StreamError: stream new of ${server.address}: to make it, name its subject with --subject`,
    )
  })

  it.each([
    [['a.*'], 'a.two', true],
    [['a.*'], 'a', false],
    [['a.*'], 'a.two.three', false],
    [['a.*.two'], 'a.one.two', true],
    [['a.>'], 'a.two.three', true],
    [['a.>'], 'a', false],
    [['a', 'b'], 'b', true],
    [['a', 'b'], 'c', false],
  ])('that takes %j, and the subject %s: %s', async (subjects, subject, isTaken) => {
    const name = 'S'
    await manageNats(server, ({ streams }) => streams.add({ name, subjects }))
    try {
      expect(await appended(await open(name, { subject }))).toBe(
        isTaken
          ? '3'
          : `StreamError: stream S of ${server.address} takes ${subjects.join(', ')}: name one subject of these with --subject`,
      )
    } finally {
      await manageNats(server, ({ streams }) => streams.delete(name))
    }
  })
})

describe('a user of NATS', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startNats([
      'authorization { users = [',
      '  { user: admin, password: admin }',
      '  { user: reader, password: reader, permissions { publish: ["$JS.API.>"] } }',
      '] }',
    ])
    const admin = { user: 'admin', pass: 'admin' }
    await manageNats(server, ({ streams }) => streams.add({ name: 'S', subjects: ['s'] }), admin)
  })
  afterAll(() => server?.stop())

  it('that may not publish is refused, and no line is stored', async () => {
    const client = { user: 'reader', pass: 'reader' }
    const stream = await openStream(NATS.url(server.address), { stream: 'S', client })
    try {
      const [kind, text] = await kindAndText(stream)
      expect(kind).toBe('refused')
      expect(text).toMatch(/^stream S of \S+: .*permissions violation for publish to "s"/i)
      expect((await stream.tail()).wasUsed).toBe(false)
    } finally {
      await stream.close()
    }
  })
})

async function kindAndText(stream: Stream): Promise<readonly [string, string]> {
  const thrown: unknown = await stream.append(lines(0, 3), '0').catch((error: unknown) => error)
  if (thrown instanceof StreamError) return [thrown.kind, thrown.message]
  throw new Error('it was appended')
}
