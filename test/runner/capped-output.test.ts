import { PassThrough } from 'node:stream'
import { CappedOutput } from '../../src/runner/capped-output'
import { turn, until } from '../support/waiting'

const CAP = 1_000

/** An output of small pieces, which come while its listener is busy with the first. */
async function heardOf(pieces: number): Promise<{ heard: number[]; total: number }> {
  const stream = new PassThrough()
  const heard: number[] = []
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const output = new CappedOutput(stream, {
    cap: CAP,
    warnAt: 0,
    onApproach() {},
    onCap() {},
    onListenerError() {},
    listener: async (chunk) => {
      heard.push(chunk.length)
      await held
    },
  })
  let isEnded = false
  stream.on('end', () => {
    isEnded = true
  })
  stream.write('x')
  await until('the listener gets the first piece', () => heard.length === 1)
  for (let piece = 0; piece < pieces; piece++) {
    stream.write('x')
    await turn()
  }
  stream.end()
  release()
  await until('the output ends', () => isEnded)
  await output.delivered
  return { heard, total: output.total }
}

describe('CappedOutput', () => {
  it('hands a slow listener in one chunk what has gathered meanwhile', async () => {
    expect(await heardOf(500)).toEqual({ heard: [1, 500], total: 501 })
  })

  it('counts what is beyond the cap, and hands it to nobody', async () => {
    expect(await heardOf(5_000)).toEqual({ heard: [1, CAP - 1], total: 5_001 })
  })
})
