import { writeFileSync } from 'node:fs'
import { runCli } from '../../support/cli'
import { useTempDir } from '../../support/temp-dir'
import { lineText } from '../../support/verified'

const dir = useTempDir()
const ID = '01'.repeat(16)

/** The times of the events that `view` shows in a time zone, or why it refuses. */
async function shown(zone: string, times: readonly string[], ...args: readonly string[]) {
  const log = dir.path('exec.log')
  const lines = times.map((time) => `${lineText('started', ID, Date.parse(time))}\n`)
  writeFileSync(log, lines.join(''))
  // The last one named wins over that of the tests.
  const wrapper = ['env', `TZ=${zone}`]
  const { code, stdout, stderr } = await runCli(['view', '-o', 'csv', ...args, log], '', wrapper)
  if (code !== 0) return stderr
  return stdout
    .split('\n')
    .slice(1, -1)
    .map((row) => row.slice(0, 16))
}

const BACK = ['2026-10-24T23:59', '2026-10-25T00:30', '2026-10-25T01:30', '2026-10-25T02:00']
const FORTH = ['2026-03-29T00:59', '2026-03-29T01:00', '2026-03-29T01:30']
const utc = (times: readonly string[]) => times.map((time) => `${time}:00Z`)

describe('a local time, as the clocks change', () => {
  it.each([
    ['2026-10-25 01:59', 0],
    ['2026-10-25 02:30+02:00', 1],
    ['2026-10-25 02:30+01:00', 2],
    ['2026-10-25 03:00', 3],
    ['2026-10-25', 0],
  ])('is %s in Berlin, from the event number %d on', async (since, first) => {
    expect(await shown('Europe/Berlin', utc(BACK), '--since', since)).toEqual(
      BACK.slice(since === '2026-10-25' ? 0 : first),
    )
  })

  it.each(['--since', '--until'])('is refused by %s if it comes twice', async (option) => {
    for (const time of ['2026-10-25 02:00', '2026-10-25T02:59:59.999']) {
      expect(await shown('Europe/Berlin', utc(BACK), option, time)).toMatch(
        /since the clocks are put back then, and this local time comes twice: 2026-10-25T02:\S+\+02:00 or 2026-10-25T02:\S+\+01:00, got/,
      )
    }
    // Half an hour, and to the west.
    expect(await shown('Australia/Lord_Howe', utc(BACK), option, '2026-04-05 01:45')).toContain(
      '2026-04-05T01:45:00+11:00 or 2026-04-05T01:45:00+10:30, got',
    )
    expect(await shown('America/New_York', utc(BACK), option, '2026-11-01 01:30')).toContain(
      '2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00, got',
    )
  })

  it('is refused if it is skipped', async () => {
    const since = (time: string) => shown('Europe/Berlin', utc(FORTH), '--since', time)
    expect(await since('2026-03-29 01:59')).toEqual(FORTH)
    for (const time of ['2026-03-29 02:00', '2026-03-29T02:59:59']) {
      expect(await since(time)).toContain(
        'expected a local time that exists: the clocks are put forward then, got',
      )
    }
    expect(await since('2026-03-29 03:00')).toEqual(FORTH.slice(1))
  })

  it('begins a day whose midnight is skipped, or comes twice', async () => {
    const beirut = ['2026-03-28T21:59', '2026-03-28T22:00']
    expect(await shown('Asia/Beirut', utc(beirut), '--since', '2026-03-29')).toEqual(
      beirut.slice(1),
    )
    const havana = ['2026-11-01T03:59', '2026-11-01T04:00', '2026-11-01T05:00']
    expect(await shown('America/Havana', utc(havana), '--since', '2026-11-01')).toEqual(
      havana.slice(1),
    )
  })
})

describe.each(['view', 'stats'])('%s', (command) => {
  it("takes the log's own milliseconds at both ends", async () => {
    const log = dir.path('exec.log')
    writeFileSync(
      log,
      [1, 2, 3].map((i) => `${lineText('started', ID, 1_795_381_262_970 + i)}\n`).join(''),
    )
    const span = ['--since', '1795381262972', '--until', '1795381262972']
    const { code, stdout } = await runCli([command, ...span, '--json', log])
    const report: { events: readonly unknown[] } = JSON.parse(stdout)
    expect([code, report.events.length]).toEqual([0, 1])
  })
})
