import { lineText, verifyText } from '../../support/verified'

const A = 'a'.repeat(32)
const B = 'b'.repeat(32)
const FIRST = lineText('denial', B, 1_000)
const MINUTE = 60_000

/** What is found of these lines after the first of a log that may have begun earlier. */
async function findings(...lines: readonly string[]) {
  const text = [FIRST, ...lines].map((line) => `${line}\n`).join('')
  const { findings } = await verifyText(text, { isWhole: false })
  return findings.map(({ line, kind, message }) => `${line} ${kind}: ${message}`)
}

describe('events whose request is not in the log', () => {
  const OLDER = 'without a request, which may stand in an older file'

  it('may be those of an older file, as far as the times allow it', async () => {
    const started = lineText('started', A, 1_000 + MINUTE)
    expect(await findings(started)).toEqual([`2 unseen: a started ${OLDER}`])
    const warning = lineText('warning', A, 1_000 + 10 * MINUTE)
    expect(await findings(warning, warning)).toEqual([`2 unseen: a warning ${OLDER}`])
    const exit = lineText('exit', A, 1_000 + 10 * MINUTE, { duration_ms: 9 * MINUTE })
    expect(await findings(exit)).toEqual([`2 unseen: an exit ${OLDER}`])
    expect(await findings(started, warning, exit)).toEqual([`2 unseen: a started ${OLDER}`])
  })

  it('are impossible if the request must have come later', async () => {
    const started = lineText('started', A, 1_001 + MINUTE)
    expect(await findings(started)).toEqual(['2 impossible: a started without a request'])
    const exit = lineText('exit', A, 1_001 + 10 * MINUTE, { duration_ms: 9 * MINUTE })
    expect(await findings(exit)).toEqual(['2 impossible: an exit without a request'])
    // A warning says nothing of the beginning; the exit after it does.
    expect(await findings(lineText('warning', A, 2_000), exit)).toEqual([
      `2 unseen: a warning ${OLDER}`,
      '3 impossible: an exit without a request',
    ])
  })
})

describe('events that no order allows', () => {
  const line = (event: string, fields?: object) => lineText(event, A, 2_000, fields)
  const [request, started, warning, exit, denial] = [
    line('request'),
    line('started'),
    line('warning'),
    line('exit'),
    line('denial'),
  ]
  const last = (n: number) => `its last event is at line ${n}`

  it.each<[string[], string]>([
    [
      [request, line('request', { timeout_ms: 1 })],
      `3 impossible: a second request of its request; ${last(2)}`,
    ],
    [
      [request, started, line('started', { pid: 1 })],
      `4 impossible: a second started of its request; ${last(3)}`,
    ],
    [
      [request, started, exit, line('exit', { code: 1 })],
      `5 impossible: a second exit of its request; ${last(4)}`,
    ],
    [
      [denial, line('denial', { argv: [] })],
      `3 impossible: a second denial of its request; ${last(2)}`,
    ],
    [
      [request, started, exit, warning],
      `5 impossible: a warning after the exit of its request; ${last(4)}`,
    ],
    [
      [request, denial, started],
      `4 impossible: a started after the denial of its request; ${last(3)}`,
    ],
    [[denial, request], `3 impossible: a request after the denial of its request; ${last(2)}`],
    [
      [request, started, exit, line('denial')],
      `5 impossible: a denial after the exit of its request; ${last(4)}`,
    ],
    [[request, started, denial], `4 impossible: a denial after its started; ${last(3)}`],
    [[request, warning], `3 impossible: a warning of a request without a started; ${last(2)}`],
    [[request, exit], `3 impossible: an exit of a request without a started; ${last(2)}`],
  ])('is found at the second of two (%#)', async (lines, finding) => {
    expect(await findings(...lines)).toEqual([finding])
  })

  it.each([
    [[request, started, warning, warning, exit]],
    [[request, denial]],
    [[request, line('warning', { kind: 'cancelled' }), line('exit', { code: null, signal: null })]],
    [[denial]],
    [[request]],
  ])('leaves alone what may be (%#)', async (lines) => {
    expect(await findings(...lines)).toEqual([])
  })
})
