import { exited, node, openRunner, requested, started, warned } from '../support/runner'
import { useTempDir } from '../support/temp-dir'

const dir = useTempDir()
const log = () => dir.path('exec.log')
const CAP = 100_000
const WARN = 50_000

const writing = (stream: 'stdout' | 'stderr', bytes: number) =>
  node(`process.${stream}.write(Buffer.from(Array.from({ length: ${bytes} }, (_, i) => i % 251)))`)
const written = (bytes: number) => Buffer.from(Array.from({ length: bytes }, (_, i) => i % 251))

describe.each(['stdout', 'stderr'] as const)('the cap on %s', (stream) => {
  const limits =
    stream === 'stdout'
      ? { maxStdoutBytes: CAP, warnStdoutBytes: WARN }
      : { maxStderrBytes: CAP, warnStderrBytes: WARN }
  const approaching = `${stream}_approaching_cap`
  const hit = `${stream}_cap_hit`

  it.each([
    [WARN - 1, [], false],
    [WARN, [approaching], false],
    [CAP - 1, [approaching], false],
    [CAP, [approaching, hit], false],
    [CAP + 1, [approaching, hit], true],
    [20 * CAP, [approaching, hit], true],
  ])('after %d bytes has led to %j, and to a cut: %p', async (bytes, kinds, truncated) => {
    const { run, trail } = openRunner(log())
    const argv = writing(stream, bytes)
    const result = await run(argv, { limits })
    expect(result.warnings).toEqual(kinds)
    expect([result[`${stream}Bytes`], result.truncated]).toEqual([bytes, truncated])
    expect(result[stream].equals(written(Math.min(bytes, CAP)))).toBe(true)
    const events = trail()
    const counts = events.splice(2, kinds.length).map(({ bytes, ...warning }) => {
      expect(warning).toEqual({ event: 'warning', kind: kinds.shift() })
      return Number(bytes)
    })
    const total = { [`${stream}_bytes`]: bytes }
    expect(events).toEqual([requested(argv), started, exited({ ...total, truncated })])
    // The total when it was seen to be reached.
    for (const [i, count] of counts.entries()) {
      expect(count).toBeGreaterThanOrEqual([WARN, CAP][i] ?? 0)
      expect(count).toBeLessThanOrEqual(bytes)
    }
  })

  it('holds for a listener, too', async () => {
    const { run } = openRunner(log())
    const chunks: Buffer[] = []
    const listen = (chunk: Buffer) => void chunks.push(chunk)
    const listener = stream === 'stdout' ? { onStdout: listen } : { onStderr: listen }
    const result = await run(writing(stream, 3 * CAP), { limits, ...listener })
    expect(Buffer.concat(chunks).equals(written(CAP))).toBe(true)
    expect([result[`${stream}Bytes`], result.truncated]).toEqual([3 * CAP, true])
  })
})

describe('both caps', () => {
  it('are each warned about once, with the totals at the time', async () => {
    const { run, trail } = openRunner(log())
    const argv = ['sh', '-c', 'printf 12345; printf 123 >&2']
    const limits = {
      maxStdoutBytes: 5,
      warnStdoutBytes: 5,
      maxStderrBytes: 2,
      warnStderrBytes: 0,
    }
    const { stdout, stderr } = await run(argv, { limits })
    expect([stdout.toString(), stderr.toString()]).toEqual(['12345', '12'])
    const events = trail()
    const ofStream = (name: string) => events.filter(({ kind }) => String(kind).startsWith(name))
    expect(ofStream('stdout')).toEqual([
      warned('stdout_approaching_cap', 5),
      warned('stdout_cap_hit', 5),
    ])
    expect(ofStream('stderr')).toEqual([warned('stderr_cap_hit', 3)])
    expect(events.length).toBe(6)
  })
})

describe('mistakes in the options', () => {
  it.each([
    [{ argv: 'ls' }, 'options.argv: expected an array of strings, got a string of 2 characters'],
    [{ argv: ['ls', 1] }, 'options.argv[1]: expected a string, got the number 1'],
    [
      { agentId: 'a1' },
      'options.agentId: expected 64 hexadecimal digits (idOf makes them of a name), got 2 characters',
    ],
    [
      { timeoutMs: -1 },
      'options.timeoutMs: expected an integer from 0 to 2^32 - 1, got the number -1',
    ],
    [{ stdin: 7 }, 'options.stdin: expected a string or a Uint8Array, got the number 7'],
    [{ cancel: {} }, 'options.cancel: expected an AbortSignal, got an object'],
    [{ onStdout: 1 }, 'options.onStdout: expected a function, got the number 1'],
    [{ env: 1 }, 'options.env: expected an object, got the number 1'],
    [
      { limits: { maxStdoutBytes: 0 } },
      'options.limits.maxStdoutBytes: expected an integer from 1 to 9007199254740991, got the number 0',
    ],
    [
      { signal: AbortSignal.abort() },
      /^options.signal: unknown option; did you mean cancel\? Known are argv, /,
    ],
    [{ input: 'x' }, /^options.input: unknown option; did you mean stdin\? /],
    [{ timeout: 1 }, /^options.timeout: unknown option; did you mean timeoutMs\? /],
    [{ limits: { grace: 1 } }, /^options.limits.grace: unknown option; did you mean graceMs\? /],
  ])('%j rejects, and nothing is run or recorded', async (mistake, message) => {
    const { run, audit } = openRunner(log())
    await expect(run(['true'], Object(mistake))).rejects.toThrow(message)
    expect(audit.stats().events.succeeded).toBe(0)
  })
})
