import { mkdirSync } from 'node:fs'
import { openShipper } from '../../../src/ship/shipper/open-shipper'
import { Random } from '../../support/random'
import { drawSeed } from '../../support/seed'
import { NatsCluster } from '../../support/servers/nats-cluster'
import { NATS } from '../../support/servers/nats-engine'
import { RotatedLog } from '../../support/ship/rotated-log'
import { shippedLines } from '../../support/ship/shipped'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'
import { pause, until } from '../../support/waiting'

jest.setTimeout(600_000)

/** Elections take up to half a minute on a busy machine, so by default there is none. */
const KILLS = times('SHIP_NODE_KILLS', 0, 12)
const it = KILLS === 0 ? test.skip : NATS.it

describe('a shipper to three servers of JetStream', () => {
  const dir = useTempDir()
  let cluster: NatsCluster | undefined
  afterEach(() => cluster?.stop())

  it(`ships each line once, in order, over ${KILLS} kills of a server`, async () => {
    const random = new Random(drawSeed())
    cluster = await NatsCluster.start()
    await cluster.make('LOG')
    mkdirSync(dir.path('log'))
    const log = new RotatedLog(dir.path('log/exec.log'), random)
    const writeFor = async (ms: number) => {
      for (const end = performance.now() + ms; performance.now() < end; await pause(10)) log.write()
    }
    const notes: string[] = []
    const shipper = await openShipper({
      ...{ log: log.path, to: cluster.url, stream: 'LOG', timeoutMs: 1_000, spareMs: 300 },
      onNote: ({ kind }) => notes.push(kind),
    })
    let ended: unknown
    shipper.ended.catch((thrown: unknown) => {
      ended = thrown
    })
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        const node = cluster.nodes[kill % cluster.nodes.length]
        await writeFor(random.below(300))
        await node?.kill()
        await writeFor(random.below(300))
        await node?.restart()
        await cluster.untilCurrent('LOG')
      }
      const isShipped = () => shipper.stats().index === log.lines.length || ended !== undefined
      await until('not all is shipped', isShipped, 60_000)
      expect(ended).toBeUndefined()
      expect(await shippedLines(cluster.url, 'LOG')).toEqual(log.lines)
      expect(notes.filter((kind) => !['outage', 'back', 'waiting'].includes(kind))).toEqual([])
    } finally {
      await shipper.close()
    }
    process.stdout.write(`    ${log.lines.length} lines, lost 0, twice 0, out of order 0\n`)
  })
})
