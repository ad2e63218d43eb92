import { ShipMeter } from '../../../src/ship/shipper/ship-meter'
import type { Message, MessageKind } from '../../../src/ship/stream/message'

const HOUR_MS = 3_600_000

function message(index: number, kind: MessageKind = 'line', ageMs = 0): Message {
  const body = Buffer.from(`{"event":"x","ts_unix_ms":${Date.now() - ageMs}}`)
  return { kind, index, body, origin: '-', sha256: Buffer.alloc(32), prev: undefined }
}

describe('the meter of a shipper', () => {
  it('counts what is stored, markers included, and no checkpoint as a line', () => {
    const meter = new ShipMeter()
    meter.startAt(5)
    const some = [message(5), message(6, 'oversize'), message(9, 'gap'), message(10, 'checkpoint')]
    meter.addRead(some)
    expect(meter.stats()).toMatchObject({ index: 5, shippedLines: 0, lagLines: 5 })
    meter.addStored(some)
    meter.addFailure()
    expect(meter.stats()).toEqual({
      ...{ index: 10, shippedLines: 2, oversizeLines: 1, gaps: 1, failures: 1 },
      ...{ lagLines: 0, lagSeconds: 0 },
    })
  })

  it("knows how old the oldest line is that waits, by the line's own time", () => {
    const meter = new ShipMeter()
    meter.startAt(0)
    const [first, second] = [[message(0, 'line', 2 * HOUR_MS)], [message(1, 'line', HOUR_MS)]]
    meter.addRead(first)
    meter.addRead(second)
    expect(Math.floor(meter.stats().lagSeconds / 60)).toBe(120)
    meter.addStored(first)
    expect(Math.floor(meter.stats().lagSeconds / 60)).toBe(60)
    meter.addStored(second)
    expect(meter.stats().lagSeconds).toBe(0)
  })

  it('estimates unread lines from their bytes', () => {
    const meter = new ShipMeter()
    meter.startAt(0)
    const some = [message(0), message(1)]
    meter.addRead(some)
    meter.addStored(some)
    const lineBytes = (some[0]?.body.length ?? 0) + 1
    meter.unread = { lines: 3, bytes: 10 * lineBytes }
    expect(meter.stats().lagLines).toBe(13)
  })
})
