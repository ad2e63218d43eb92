import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import type { ShipNote } from '../../../src/ship/shipper/line-source'
import {
  openShipper,
  type ShipperOptions,
  shipOnce,
  shipStatus,
} from '../../../src/ship/shipper/open-shipper'
import { ShipUnreachableError } from '../../../src/ship/shipper/shipper'
import { ENGINES } from '../../support/servers/engines'
import { TcpProxy } from '../../support/servers/tcp-proxy'
import type { TestServer } from '../../support/servers/test-server'
import { messagesOf, shippedLines } from '../../support/ship/shipped'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

jest.setTimeout(120_000)

describe.each(ENGINES)('a shipper to %s', (_, engine) => {
  const dir = useTempDir()
  let server: TestServer
  let count = 0
  let options: ShipperOptions
  let notes: string[]

  const { it } = engine
  beforeAll(async () => {
    if (it !== test.skip) server = await engine.start({ maxMessageBytes: 1024 * 1024 })
  })
  afterAll(() => server?.stop())
  beforeEach(async () => {
    if (server === undefined) return
    const stream = `S${count++}`
    await engine.make(server, stream)
    notes = []
    mkdirSync(dir.path('log'))
    options = {
      log: dir.path('log/exec.log'),
      to: engine.url(server.address),
      stream,
      spareMs: 200,
      state: dir.path('state'),
      onNote: ({ kind }) => notes.push(kind),
    }
  })

  const shipped = () => shippedLines(options.to, options.stream)
  const write = (...lines: readonly string[]) =>
    appendFileSync(options.log, lines.map((line) => `${line}\n`).join(''))
  const rotated = (name: string) => `${options.log}.${name}`
  const withoutState = () => ({ ...options, state: undefined })

  it('ships blank lines and repeated groups, and no torn line', async () => {
    write('a', '', '', 'b', 'a', 'b', 'a', 'b')
    appendFileSync(options.log, 'torn')
    await shipOnce(options)
    expect(await shipped()).toEqual(['a', '', '', 'b', 'a', 'b', 'a', 'b'])
    appendFileSync(options.log, ' and whole\n')
    await shipOnce(options)
    expect((await shipped()).slice(8)).toEqual(['torn and whole'])
    expect(notes).toEqual([])
  })

  it('goes on behind blank lines and a repeated group, with its state or without', async () => {
    write('a', 'b', '', '', 'a', 'b', '')
    await shipOnce(withoutState())
    write('', 'a', 'b')
    await shipOnce(withoutState())
    await shipOnce(options)
    write('', 'c')
    await shipOnce(options)
    expect(await shipped()).toEqual(['a', 'b', '', '', 'a', 'b', '', '', 'a', 'b', '', 'c'])
  })

  it('ships bytes that are no text, as they are', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i).filter((i) => i !== 10))
    writeFileSync(options.log, Buffer.concat([bytes, Buffer.from('\n')]))
    await shipOnce(options)
    const [message] = await messagesOf(options.to, options.stream)
    expect(message?.body).toEqual(bytes)
  })

  it('reads rotated and compressed files first, also those that came while it was down', async () => {
    write('1', '2')
    execFileSync('gzip', [options.log])
    renameSync(`${options.log}.gz`, rotated('2.gz'))
    write('3')
    renameSync(options.log, rotated('1'))
    write('4')
    await shipOnce(options)
    renameSync(rotated('2.gz'), rotated('3.gz'))
    execFileSync('gzip', [rotated('1')])
    renameSync(rotated('1.gz'), rotated('2.gz'))
    write('5')
    renameSync(options.log, rotated('1'))
    write('6')
    await shipOnce(options)
    write('7')
    await shipOnce(withoutState())
    expect(await shipped()).toEqual(['1', '2', '3', '4', '5', '6', '7'])
  })

  it('finds its place without its state after the oldest files are gone', async () => {
    write('1', '2')
    renameSync(options.log, rotated('2'))
    write('3', '4')
    renameSync(options.log, rotated('1'))
    write('5')
    await shipOnce(withoutState())
    rmSync(rotated('2'))
    write('6')
    await shipOnce(withoutState())
    expect(await shipped()).toEqual(['1', '2', '3', '4', '5', '6'])
  })

  it('finds its place in a trimmed stream without its state', async () => {
    write('1', '2', '3', '4')
    await shipOnce(withoutState())
    await engine.trim(server, options.stream, 2)
    renameSync(options.log, rotated('1'))
    write('5')
    await shipOnce(withoutState())
    expect(await shipped()).toEqual(['3', '4', '5'])
  })

  it('ships a last group of a rotated file in the order in which it is met, and finds it again', async () => {
    write('1')
    const shipper = await openShipper(withoutState())
    await until('1', () => shipper.stats().index === 1)
    renameSync(options.log, rotated('1'))
    write('2')
    await until('2', () => shipper.stats().index === 2)
    appendFileSync(rotated('1'), 'late\n')
    await until('late', () => shipper.stats().index === 3)
    await shipper.close()
    write('3')
    await shipOnce(withoutState())
    expect(await shipped()).toEqual(['1', '2', 'late', '3'])
  })

  it('ships a file to its end that is deleted while it is open', async () => {
    write('1')
    const shipper = await openShipper(options)
    await until('1', () => shipper.stats().index === 1)
    write('2')
    rmSync(options.log)
    write('3')
    await until('3', () => shipper.stats().index === 3)
    await shipper.close()
    expect(await shipped()).toEqual(['1', '2', '3'])
  })

  it('puts a marker in the place of a line above the limit', async () => {
    write('a', 'x'.repeat(3 * 1024 * 1024), 'b')
    await shipOnce(options)
    const sha256 = createHash('sha256')
      .update('x'.repeat(3 * 1024 * 1024))
      .digest('hex')
    const marker = JSON.stringify({ oversize: { index: 1, bytes: 3_145_728, sha256 } })
    expect(await shipped()).toEqual(['a', marker, 'b'])
    expect(notes).toEqual(['oversize'])
    write('c')
    await shipOnce(withoutState())
    expect((await shipped()).slice(3)).toEqual(['c'])
  })

  it('stops if the file with the next lines is gone, and leaves a record if that is accepted', async () => {
    write('1', '2')
    await shipOnce(options)
    write('3')
    rmSync(options.log)
    write('4')
    await expect(shipOnce(options)).rejects.toThrow(
      /^the stream's last line has index 1 .* --accept-gap ships .* from index 3 on/,
    )
    await shipOnce({ ...options, acceptGap: true })
    write('5')
    await shipOnce(options)
    const lines = await shipped()
    expect(lines.toSpliced(2, 1)).toEqual(['1', '2', '4', '5'])
    expect(JSON.parse(lines[2] ?? '')).toEqual({
      gap: {
        ...{ from: 2, to: 2 },
        reason:
          'the file with the line 1 is gone or was changed, and nobody knows how many lines stood behind it',
      },
    })
    expect(notes).toEqual(['gap'])
  })

  describe('after a gap whose record was not appended', () => {
    beforeEach(async () => {
      if (server === undefined) return
      write('1', '2')
      await shipOnce(options)
      write('3')
      rmSync(options.log)
      write('4')
      const proxy = await TcpProxy.start(server.port)
      const cut = {
        ...{ ...options, acceptGap: true, to: engine.url(proxy.address) },
        onNote({ kind }: ShipNote) {
          notes.push(kind)
          // The record is ready then, and not yet sent.
          if (kind === 'gap') void proxy.stop()
        },
      }
      await expect(shipOnce(cut)).rejects.toThrow(ShipUnreachableError)
    })

    it('reports no lost lines', async () => {
      await shipOnce({ ...options, acceptGap: true })
      expect((await shipped()).toSpliced(2, 1)).toEqual(['1', '2', '4'])
      expect(notes).toEqual(['gap', 'outage', 'gap'])
    })

    it('leaves the record in the stream, also if that was purged meanwhile', async () => {
      await engine.purge(server, options.stream)
      await expect(shipOnce(options)).rejects.toThrow(
        /^lines from index 2 on are lost: an earlier run .*; --accept-gap ships on behind them/,
      )
      await shipOnce({ ...options, acceptGap: true })
      const reason =
        'an earlier run has found that lines are missing here, and could not store its record'
      expect(await shipped()).toEqual([JSON.stringify({ gap: { from: 2, to: 2, reason } }), '4'])
      const messages = await messagesOf(options.to, options.stream)
      expect(messages.map(({ index }) => index)).toEqual([2, 3])
    })
  })

  it('stops if the log was put back to an older state', async () => {
    write('1', '2', '3')
    await shipOnce(options)
    truncateSync(options.log, 2)
    await expect(shipOnce(options)).rejects.toThrow(/^the stream's last line has index 2 /)
    write('other', 'lines', 'now')
    await expect(shipOnce(options)).rejects.toThrow(/^the stream's last line has index 2 /)
    expect(await shipped()).toEqual(['1', '2', '3'])
  })

  it('stops if the log is truncated without a copy, and goes on from a copy', async () => {
    write('1')
    const shipper = await openShipper(options)
    await until('1', () => shipper.stats().index === 1)
    writeFileSync(rotated('1'), '1\n2\n')
    writeFileSync(options.log, '3\n')
    await until('3', () => shipper.stats().index === 3)
    rmSync(rotated('1'))
    writeFileSync(options.log, '4\n5\n')
    await expect(shipper.ended).rejects.toThrow(/^lines from index 3 on are lost: .* was truncated/)
    expect(await shipped()).toEqual(['1', '2', '3'])
    expect(notes).toEqual(['truncated'])
  })

  it('goes on in a purged stream by its state, and without by --from', async () => {
    write('1', '2')
    await shipOnce(options)
    await engine.purge(server, options.stream)
    write('3')
    await expect(shipOnce(withoutState())).rejects.toThrow(
      /is empty, and has been used up to \S+; no state of an earlier run is there/,
    )
    await shipOnce(options)
    expect(await shipped()).toEqual(['3'])
    await engine.purge(server, options.stream)
    write('4')
    await shipOnce({ ...withoutState(), from: 3 })
    const [message] = await messagesOf(options.to, options.stream)
    expect([message?.index, message?.body.toString()]).toEqual([3, '4'])
  })

  it('stops at a stream that somebody else has written to', async () => {
    write('1')
    await shipOnce(options)
    await engine.addForeign(server, options.stream)
    write('2')
    await expect(shipOnce(options)).rejects.toThrow(/no shipper has written it/)
  })

  it('stops at a stream that was made anew, unless it is told where to begin', async () => {
    write('1', '2')
    await shipOnce(options)
    await engine.remove(server, options.stream)
    await engine.make(server, options.stream)
    write('3')
    await expect(shipOnce(options)).rejects.toThrow(
      /is new and empty, but the state has shipped the lines up to 1, .*: --from 2 goes on/,
    )
    await shipOnce({ ...options, from: 2 })
    expect(await shipped()).toEqual(['3'])
  })

  it('ships lines again that the stream has lost', async () => {
    write('1', '2')
    await shipOnce(options)
    const state = readFileSync(dir.path('state'), 'utf8')
    await engine.remove(server, options.stream)
    await engine.make(server, options.stream)
    writeFileSync(rotated('1'), '1\n')
    renameSync(options.log, dir.path('aside'))
    await shipOnce({ ...options, log: options.log, state: undefined })
    rmSync(rotated('1'))
    renameSync(dir.path('aside'), options.log)
    writeFileSync(dir.path('state'), state)
    write('3')
    await shipOnce(options)
    expect(await shipped()).toEqual(['1', '2', '3'])
    expect(notes).toEqual(['again'])
  })

  it('refuses a link and a FIFO in the place of the log', async () => {
    writeFileSync(dir.path('real'), '1\n')
    symlinkSync(dir.path('real'), options.log)
    await expect(shipOnce(options)).rejects.toThrow(/^nothing is shipped: .* is a symbolic link/)
    rmSync(options.log)
    execFileSync('mkfifo', [options.log])
    await expect(shipOnce(options)).rejects.toThrow(/^nothing is shipped: .* is a FIFO/)
    expect(await shipped()).toEqual([])
  })

  it('counts the lines that wait', async () => {
    write('1', '2')
    await shipOnce(options)
    write('3', '4', '5')
    expect(await shipStatus(options)).toEqual({ shipped: 2, behind: 3 })
    expect(await shipStatus(withoutState())).toEqual({ shipped: 2, behind: 3 })
    expect(await shipped()).toEqual(['1', '2'])
  })

  it('refuses the state of another stream', async () => {
    write('1')
    await shipOnce(options)
    await engine.make(server, 'OTHER')
    await expect(shipOnce({ ...options, stream: 'OTHER' })).rejects.toThrow(
      `state: ${dir.path('state')} is that of the stream ${options.stream}`,
    )
    await engine.remove(server, 'OTHER')
  })
})
