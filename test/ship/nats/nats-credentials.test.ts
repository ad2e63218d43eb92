import { writeFileSync } from 'node:fs'
import { openStream } from '../../../src/ship/open-stream'
import type { StreamOptions } from '../../../src/ship/stream/stream'
import { lines } from '../../support/servers/messages'
import { NATS, startNats } from '../../support/servers/nats-engine'
import { operatorMode } from '../../support/servers/nats-operator'
import type { TestServer } from '../../support/servers/test-server'
import { useTempDir } from '../../support/temp-dir'

const { it } = NATS

describe('a credentials file of NATS', () => {
  const dir = useTempDir()
  const { settings, creds } = operatorMode()
  const variable = process.env.NATS_CREDS
  let server: TestServer

  beforeAll(async () => {
    server = await startNats(settings)
  })
  afterAll(() => server?.stop())
  beforeEach(() => {
    writeFileSync(dir.path('right.creds'), creds)
    writeFileSync(dir.path('wrong.creds'), operatorMode().creds)
  })
  afterEach(() => {
    if (variable === undefined) delete process.env.NATS_CREDS
    else process.env.NATS_CREDS = variable
  })

  /** Appends a line to a new stream, or returns why not. */
  async function ship(stream: string, options: Partial<StreamOptions> = {}): Promise<string> {
    const all = { stream, subject: stream, create: true, ...options }
    try {
      const opened = await openStream(NATS.url(server.address), all)
      const end = await opened.append(lines(0, 1), '0')
      await opened.close()
      return end
    } catch (error) {
      return String(error)
    }
  }

  it('is the one that is given', async () => {
    process.env.NATS_CREDS = dir.path('wrong.creds')
    expect(await ship('given', { creds: dir.path('right.creds') })).toBe('1')
  })

  it('is the one that NATS_CREDS names, if none is given', async () => {
    process.env.NATS_CREDS = dir.path('right.creds')
    expect(await ship('variable')).toBe('1')
  })

  it('is refused if it is another one, and so is nobody', async () => {
    delete process.env.NATS_CREDS
    const advice = 'give credentials that the server takes, with --creds FILE or NATS_CREDS'
    for (const options of [{ creds: dir.path('wrong.creds') }, {}]) {
      expect((await ship('refused', options)).toLowerCase()).toBe(
        `streamerror: stream refused of ${server.address}: authorization violation: ${advice}`.toLowerCase(),
      )
    }
  })
})
