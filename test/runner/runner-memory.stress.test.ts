import { runChild } from '../support/children/run-child'
import { useTempDir } from '../support/temp-dir'

const dir = useTempDir()

const MIB = 2 ** 20
const CAP = MIB

/**
 * Runs each argv in turn and prints, for each, the peaks of the resident set and of external memory above
 * what there was before the first, in MiB. Each argv has more output than the one before: what grows with
 * it is a slope.
 */
const SCRIPT = `
const { runAudited } = require(${JSON.stringify(require.resolve('../../dist'))})
const [argvs, listen] = [JSON.parse(process.argv[2]), process.argv[3]]
const id = '00'.repeat(32)
const audit = open()
const measure = async (argv) => {
  const peak = { rss: 0, external: 0 }
  const look = setInterval(() => {
    const { rss, external } = process.memoryUsage()
    peak.rss = Math.max(peak.rss, rss)
    peak.external = Math.max(peak.external, external)
  }, 5)
  const slow = () => pause(2)
  const { stdoutBytes, stdout } = await runAudited(audit, {
    argv, agentId: id, machineId: id, limits: { maxStdoutBytes: ${CAP} },
    ...(listen === 'listen' ? { onStdout: slow } : {}),
  })
  clearInterval(look)
  return { ...peak, stdoutBytes, kept: stdout.length }
}
const main = async () => {
  await measure(argvs[0])
  const { rss, external } = process.memoryUsage()
  const found = []
  for (const argv of argvs) {
    const peak = await measure(argv)
    found.push({ ...peak, rss: (peak.rss - rss) / ${MIB}, external: (peak.external - external) / ${MIB} })
  }
  await audit.close()
  console.log(JSON.stringify(found))
}
main()`

interface Peak {
  readonly rss: number
  readonly external: number
  readonly stdoutBytes: number
  readonly kept: number
}

async function peaksOf(argvs: readonly (readonly string[])[], how = ''): Promise<Peak[]> {
  const { stdout, stderr } = await runChild(SCRIPT, [dir.path('log'), JSON.stringify(argvs), how])
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

const zeros = (bytes: number) => ['head', '-c', String(bytes), '/dev/zero']
const byteByByte = (bytes: number) => [
  'dd',
  'if=/dev/zero',
  'bs=1',
  'status=none',
  `count=${bytes}`,
]
const lineByLine = (lines: number) => [
  'sh',
  '-c',
  `i=0; while [ $i -lt ${lines} ]; do echo; i=$((i+1)); done`,
]

/** What a collector may leave behind, whatever the volume: V8 runs it once some 64 MiB of buffers have come. */
const SLACK_MIB = 96

describe('the memory of a run', () => {
  it.each([
    ['much at a time', zeros, [16 * MIB, 256 * MIB, 1024 * MIB], ''],
    ['a byte at a time', byteByByte, [250_000, 500_000, 1_000_000], ''],
    ['a line at a time', lineByLine, [100_000, 200_000, 400_000], ''],
    ['much at a time, for a slow listener', zeros, [16 * MIB, 256 * MIB, 1024 * MIB], 'listen'],
    ['a byte at a time, for a slow listener', byteByByte, [100_000, 200_000], 'listen'],
  ])(
    'does not grow with the output of a command that writes %s',
    async (_, argvOf, volumes, how) => {
      const peaks = await peaksOf(volumes.map(argvOf), how)
      expect(peaks.map(({ stdoutBytes }) => stdoutBytes)).toEqual(volumes)
      const kept = volumes.map((volume) => (how === 'listen' ? 0 : Math.min(volume, CAP)))
      expect(peaks.map((peak) => peak.kept)).toEqual(kept)
      for (const { rss, external } of peaks) {
        expect(rss).toBeLessThan(2 * (CAP / MIB) + SLACK_MIB)
        expect(external).toBeLessThan(2 * (CAP / MIB) + SLACK_MIB)
      }
    },
  )

  it('does not grow with the number of pieces that its output comes in', async () => {
    const script = `
const { CappedOutput } = require(${JSON.stringify(require.resolve('../../dist/runner/capped-output'))})
const { PassThrough } = require('node:stream')
const main = async () => {
  const found = []
  for (const pieces of [100_000, 400_000, 1_600_000]) {
    const stream = new PassThrough()
    const output = new CappedOutput(stream, { cap: 2 ** 24, warnAt: 0, onCap() {}, onApproach() {} })
    const { heapUsed, external } = process.memoryUsage()
    for (let i = 0; i < pieces; i++) stream.emit('data', Buffer.allocUnsafeSlow(1))
    gc()
    const after = process.memoryUsage()
    found.push((after.heapUsed + after.external - heapUsed - external) / pieces)
    if (output.kept().length !== pieces) throw new Error('bytes are missing')
  }
  console.log(JSON.stringify(found))
}
main()`
    const { stdout } = await runChild(
      `require('node:v8').setFlagsFromString('--expose-gc')
globalThis.gc = require('node:vm').runInNewContext('gc')
${script}`,
      [dir.path('log')],
    )
    const bytesPerByte: number[] = JSON.parse(stdout)
    expect(bytesPerByte.length).toBe(3)
    // Blocks are at most half empty.
    for (const bytes of bytesPerByte.slice(1)) expect(bytes).toBeLessThan(3)
  })
})
