import { mkdirSync } from 'node:fs'
import { openStream } from '../../../src/ship/open-stream'
import { openShipper, type ShipperOptions, shipOnce } from '../../../src/ship/shipper/open-shipper'
import { Random } from '../../support/random'
import { drawSeed } from '../../support/seed'
import { ENGINES } from '../../support/servers/engines'
import type { TestServer } from '../../support/servers/test-server'
import { RotatedLog } from '../../support/ship/rotated-log'
import { shippedLines } from '../../support/ship/shipped'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'
import { pause, until } from '../../support/waiting'

jest.setTimeout(600_000)

const STARTS = times('SHIP_STARTS', 20, 300)

describe.each(ENGINES)('a shipper to %s', (_, engine) => {
  const dir = useTempDir()
  let server: TestServer
  const { it } = engine
  beforeAll(async () => {
    if (it !== test.skip) server = await engine.start()
  })
  afterAll(() => server?.stop())

  it(`finds its place in ${STARTS} starts, with its state, an old one or none`, async () => {
    const random = new Random(drawSeed())
    await engine.make(server, 'LOG')
    mkdirSync(dir.path('log'))
    const log = new RotatedLog(dir.path('log/exec.log'), random)
    const options: ShipperOptions = {
      ...{ log: log.path, to: engine.url(server.address), stream: 'LOG', spareMs: 100 },
      onNote: ({ message }) => {
        throw new Error(message)
      },
    }
    const stream = await openStream(options.to, { stream: 'LOG' })
    try {
      for (let start = 0; start < STARTS; start++) {
        for (let i = random.below(8); i > 0; i--) log.write()
        const state = random.chance(0.5) ? { state: dir.path('state') } : {}
        const shipper = await openShipper({ ...options, ...state })
        const enough = log.lines.length - random.below(100)
        let failure: unknown
        shipper.ended.catch((thrown: unknown) => {
          failure = thrown
        })
        await until('it ships', () => failure !== undefined || shipper.stats().index >= enough)
        if (random.chance(0.3)) log.write()
        await pause(random.below(5))
        await shipper.close()
        expect(failure).toBeUndefined()
        if (random.chance(0.3)) log.deleteBefore((await stream.tail()).message?.index ?? 0)
      }
    } finally {
      await stream.close()
    }
    await shipOnce(options)
    expect(await shippedLines(options.to, 'LOG')).toEqual(log.lines)
  })
})
