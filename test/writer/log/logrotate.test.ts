import { readdirSync, readFileSync, statSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { startLoad, stopLoads } from '../../support/load'
import { openAudit } from '../../support/open-audit'
import { writeShipped } from '../../support/shipping'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'
import { itWithTool, runTool } from '../../support/tool'
import { until } from '../../support/waiting'

jest.setTimeout(240_000)

const ROTATIONS = times('ROTATIONS', 4, 25)
const EVENTS_BETWEEN = 500

describe('logrotate, as shipped', () => {
  afterEach(stopLoads)
  const dir = useTempDir()
  const itWithLogrotate = itWithTool('logrotate')

  /** The pids of a log's lines, compressed or not. */
  const pidsOf = (name: string): number[] => {
    const bytes = readFileSync(dir.path(`gateway/${name}`))
    const text = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
    expect(text.endsWith('\n')).toBe(true)
    return text
      .slice(0, -1)
      .split('\n')
      .map((line): number => JSON.parse(line).pid)
  }

  itWithLogrotate('loses and doubles no event of a busy writer, and keeps the mode', async () => {
    const conf = dir.path('logrotate.conf')
    writeShipped('logrotate.conf', conf, { '/var/log/gateway': dir.path('gateway') })
    const tested = openAudit(dir.path('gateway/exec.log'))
    const { audit } = tested
    const load = startLoad(tested)
    for (let i = 0; i < ROTATIONS; i++) {
      const { settled } = audit.stats().events
      const second = Math.floor(Date.now() / 1_000)
      await until(
        'no event is recorded',
        () => audit.stats().events.settled >= settled + EVENTS_BETWEEN,
      )
      // The date in a rotated file's name has a resolution of a second.
      await until('the clock stands', () => Math.floor(Date.now() / 1_000) > second)
      const { stdout, stderr } = await runTool('logrotate', '-f', '-s', dir.path('state'), conf)
      expect([stdout, stderr]).toEqual(['', ''])
    }
    const { settled } = audit.stats().events
    await until('none after the last', () => audit.stats().events.settled > settled + 100)
    const outcomes = await load.stop()

    expect(new Set(outcomes)).toEqual(new Set(['durable']))
    const names = readdirSync(dir.path('gateway')).sort()
    const rotated = Array.from({ length: ROTATIONS }, (_, i) =>
      i < ROTATIONS - 1 ? /^exec\.log-\d{8}-\d{10}\.gz$/ : /^exec\.log-\d{8}-\d{10}$/,
    )
    expect(names).toEqual(['exec.log', ...rotated.map((name) => expect.stringMatching(name))])
    const pids = [...names.slice(1), 'exec.log'].flatMap(pidsOf)
    expect(pids).toEqual(outcomes.map((_, pid) => pid))
    const modes = names.map((name) => statSync(dir.path(`gateway/${name}`)).mode & 0o777)
    expect(new Set(modes)).toEqual(new Set([0o600]))
  })
})
