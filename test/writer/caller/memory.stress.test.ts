import { startChild } from '../../support/children/run-child'
import { endStrace, itWithStrace, straceBeside } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'

const MIB = 2 ** 20
/** The disk answers once, for the file's first event, and never again. */
const HUNG = 'fdatasync:delay_enter=600000000:when=2+'

/** An option that limits memory, and the producer that takes the most for it. */
interface Limit {
  readonly option: 'ringBytes' | 'maxWaitingBytes' | 'maxEventBytes'
  /** Two settings in MiB. What the process takes at the second, less the first, is its slope. */
  readonly mib: readonly [number, number]
  /** Returns the promise of one event. Finds \`bytes\`, the setting. */
  readonly record: string
  /** Bytes of RSS that the process may take for each byte of the setting: docs/options.md says so. */
  readonly factor: number
}

const SMALL = 'audit.started({ requestId, pid: 1 })'
const denial = (argument: string) =>
  `audit.denial({ requestId, agentId: '11'.repeat(32), machineId: '22'.repeat(32), reason: 'argv_not_allowed', argv: [${argument}] })`

const LIMITS: Readonly<Record<string, Limit>> = {
  'maxWaitingBytes, by small events': {
    option: 'maxWaitingBytes',
    mib: [32, 128],
    record: SMALL,
    factor: 1.5,
  },
  'maxWaitingBytes, by events with a buffer of their own': {
    option: 'maxWaitingBytes',
    mib: [32, 128],
    record: denial(`'x'.repeat(20_000)`),
    factor: 1.5,
  },
  'maxWaitingBytes, by events larger than the ring': {
    option: 'maxWaitingBytes',
    mib: [32, 128],
    record: denial(`'x'.repeat(3_000_000)`),
    factor: 1.5,
  },
  'ringBytes, by small events': { option: 'ringBytes', mib: [4, 16], record: SMALL, factor: 16 },
  'maxEventBytes, by one event': {
    option: 'maxEventBytes',
    mib: [8, 40],
    record: denial(`'x'.repeat(bytes - 1_000)`),
    factor: 8,
  },
  'maxEventBytes, by one that is escaped sixfold': {
    option: 'maxEventBytes',
    mib: [8, 40],
    record: denial(`'\\u0001'.repeat(bytes - 1_000)`),
    factor: 24,
  },
}

/** Records events until one is refused, or one large one, and prints what the process takes by then. */
const script = ({ option, record }: Limit, bytes: number) => `
  const bytes = ${bytes}
  const onFull = '${option}' === 'ringBytes' ? 'fail' : 'wait'
  const logger = { warn() {} }
  const audit = open({ ${option}: bytes, onFull, failureMode: 'closed', logger })
  const main = async () => {
    await audit.started({ requestId, pid: 0 })
    if ('${option}' === 'maxEventBytes') {
      await ${record}
    } else {
      let isFull = false
      const refused = () => { isFull = true }
      for (let n = 0; !isFull; n++) {
        ${record}.catch(refused)
        if (n % 100 === 0) await turn()
      }
      gc()
    }
    const { rss, external } = process.memoryUsage()
    // Not resourceUsage().maxRSS, which a child takes over from the process that has forked it.
    const status = require('node:fs').readFileSync('/proc/self/status', 'latin1')
    const peak = Number(/VmHWM:\\s+(\\d+)/.exec(status)[1]) * 1024
    console.log(JSON.stringify({ rss: '${option}' === 'maxEventBytes' ? peak : rss, external }))
    console.log('measured')
    await until('it is not killed', () => false)
  }
  require('node:v8').setFlagsFromString('--expose-gc')
  const gc = require('node:vm').runInNewContext('gc')
  main()`

describe('a limit on memory bounds what the process takes', () => {
  const dir = useTempDir()

  const measure = async (limit: Limit, mib: number): Promise<{ rss: number; external: number }> => {
    const path = dir.path(`exec-${mib}.log`)
    const tracer = limit.option === 'maxEventBytes' ? [] : straceBeside(path, HUNG)
    const child = startChild(script(limit, mib * MIB), [path], tracer)
    await child.said('measured')
    child.process.kill('SIGKILL')
    endStrace(child.process)
    const { stdout } = await child.end
    return JSON.parse(stdout.split('\n')[0] ?? '')
  }

  itWithStrace.each(Object.entries(LIMITS))(
    '%s',
    async (_, limit) => {
      const [less, more] = limit.mib
      const small = await measure(limit, less)
      const large = await measure(limit, more)
      const growth = (more - less) * MIB
      expect((large.rss - small.rss) / growth).toBeLessThan(limit.factor)
      // It must have been taken at all, or nothing was measured.
      expect((large.rss - small.rss) / growth).toBeGreaterThan(0.5)
      expect((large.external - small.external) / growth).toBeLessThan(1.25)
    },
    180_000,
  )
})
