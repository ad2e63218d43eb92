import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StreamConfig } from '@nats-io/jetstream'
import { Redis } from 'ioredis'
import { openStream } from '../../src/ship/open-stream'
import type { Stream, StreamOptions } from '../../src/ship/stream/stream'
import { blocksOf } from '../support/documents'
import { collected, lines } from '../support/servers/messages'
import { manageNats, NATS, startNats } from '../support/servers/nats-engine'
import { REDIS } from '../support/servers/redis-engine'
import { TestServer } from '../support/servers/test-server'

const PAGE = 'docs/shipping-streams.md'
const [jetstream = '', users = '', redis = '', ...others] = blocksOf(PAGE, 'text')
const [config = '', ...otherConfigs] = blocksOf(PAGE, 'json')

const openStreams: Stream[] = []
let server: TestServer | undefined

afterEach(async () => {
  await Promise.all(openStreams.splice(0).map((stream) => stream.close()))
  await server?.stop()
  server = undefined
})

async function open(url: string, options: StreamOptions): Promise<Stream> {
  const stream = await openStream(url, options)
  openStreams.push(stream)
  return stream
}

/** Appends a few lines, one call after the other, and reads them back with another stream. */
async function expectLines(writer: Stream, reader: Stream): Promise<void> {
  const { position } = await writer.tail()
  await writer.append(lines(10, 10), await writer.append(lines(0, 10), position))
  expect((await writer.tail()).message?.index).toBe(19)
  expect((await collected(reader.read())).map(({ index }) => index)).toEqual(
    lines(0, 20).map(({ index }) => index),
  )
}

const refused = (promise: Promise<unknown>) => promise.then(() => 'done', String)

test('the blocks of the page are all run here', () => {
  expect([others, otherConfigs]).toEqual([[], []])
  // Except for the one that Debian's server does not know.
  expect(jetstream).toContain('sync_interval: always\n')
})

NATS.it('the stream and the users of JetStream', async () => {
  const settings = users
    .replace('users = [', 'users = [\n{ user: admin, password: admin }')
    .replace('$GW1_PASSWORD', 'gw1')
    .replace('$READER_PASSWORD', 'reader')
  server = await startNats([settings])
  const asAdmin = { user: 'admin', pass: 'admin' }
  const asGateway = { user: 'gw1', pass: 'gw1' }
  const made: Partial<StreamConfig> & { name: string } = JSON.parse(config)
  expect(made.num_replicas).toBe(3)
  await manageNats(server, ({ streams }) => streams.add({ ...made, num_replicas: 1 }), asAdmin)
  const url = NATS.url(server.address)
  const writer = await open(url, { stream: made.name, client: asGateway })
  const reader = await open(url, {
    stream: made.name,
    client: { user: 'reader', pass: 'reader' },
  })
  await expectLines(writer, reader)
  const { address } = server
  const remove = (client: typeof asAdmin) =>
    Promise.all([
      refused(
        manageNats({ address }, ({ streams }) => streams.deleteMessage('AUDIT_GW1', 1), client),
      ),
      refused(manageNats({ address }, ({ streams }) => streams.purge('AUDIT_GW1'), client)),
    ])
  expect(await remove(asAdmin)).toEqual([
    expect.stringMatching(/message delete not permitted/),
    expect.stringMatching(/stream purge not permitted/),
  ])
  const violations = [expect.stringMatching(/violation/i), expect.stringMatching(/violation/i)]
  expect(await remove(asGateway)).toEqual(violations)
  expect(await remove({ user: 'reader', pass: 'reader' })).toEqual(violations)
})

REDIS.it('the configuration and the users of Redis', async () => {
  server = await TestServer.start({
    program: 'redis-server',
    args(folder, port) {
      const path = join(folder, 'redis.conf')
      const own = `bind 127.0.0.1\nport ${port}\ndir ${folder}\n`
      writeFileSync(
        path,
        own + redis.replace('>ADMIN_PASSWORD', '>admin').replace('>GW1_PASSWORD', '>gw1'),
      )
      return [path]
    },
    ready: /Ready to accept connections/,
  })
  const options = { host: '127.0.0.1', port: server.port, enableReadyCheck: false }
  const admin = new Redis({ ...options, username: 'admin', password: 'admin' })
  const gateway = new Redis({ ...options, username: 'gw1', password: 'gw1' })
  try {
    expect(await admin.config('GET', 'appendfsync')).toEqual(['appendfsync', 'always'])
    await admin.xgroup('CREATE', 'audit:gw1', 'made', '$', 'MKSTREAM')
    const url = `redis://gw1@${server.address}`
    const stream = await open(url, { stream: 'audit:gw1', client: { password: 'gw1' } })
    await expectLines(stream, stream)
    for (const remove of [
      () => gateway.del('audit:gw1'),
      () => gateway.xdel('audit:gw1', '1-0'),
      () => gateway.xtrim('audit:gw1', 'MAXLEN', 0),
      () => gateway.eval("return redis.call('DEL', KEYS[1])", 1, 'audit:gw1'),
    ]) {
      expect(await refused(remove())).toMatch(/NOPERM|can't run this command/)
    }
    // As the page says: no rule of Redis forbids this.
    await gateway.xadd('audit:gw1', 'MAXLEN', 1, '*', 'a', 'b')
    expect(await gateway.xrange('audit:gw1', '-', '+')).toHaveLength(1)
  } finally {
    admin.disconnect()
    gateway.disconnect()
  }
})
