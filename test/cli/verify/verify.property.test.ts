import fc from 'fast-check'
import { seeded } from '../../support/seed'
import { times } from '../../support/times'
import { eventsOf, type Line, linesOf, verifyText } from '../../support/verified'

const RUNS = times('RUNS', 150, 3_000)

/** Commands that run side by side: how far each gets, and the order in which their events come. */
const log = fc
  .array(
    fc.record({
      id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      warnings: fc.nat(2),
      kind: fc.constantFrom('ran', 'open', 'failed', 'denied'),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .chain((commands) => {
    const unique = [
      ...new Map(
        commands.map((command) => [Buffer.from(command.id).toString('hex'), command]),
      ).values(),
    ]
    const events = unique.flatMap((command, i) => eventsOf(command).map(() => i))
    return fc.record({
      commands: fc.constant(unique),
      order: fc.shuffledSubarray(events, { minLength: events.length, maxLength: events.length }),
    })
  })
  .map(({ commands, order }) => linesOf(commands, order))

/** Leaves the case out where there is nothing. */
function given<T>(value: T | undefined): T {
  fc.pre(value !== undefined)
  return value
}
const lineOf = (lines: readonly Line[], index: number) => given(lines[index])
/** Where a line begins. */
const offsetOf = (lines: readonly Line[], index: number) =>
  lines.slice(0, index).reduce((sum, { text }) => sum + Buffer.byteLength(text) + 1, 0)
const textOf = (lines: readonly Line[]) => lines.map(({ text }) => `${text}\n`).join('')
const first = (found: Awaited<ReturnType<typeof verifyText>>) => {
  const [finding] = found.findings
  return finding && { line: finding.line, offset: finding.offset, kind: finding.kind }
}

describe('verify, of any log that a gateway writes', () => {
  it('finds it good', async () => {
    await fc.assert(
      fc.asyncProperty(log, async (lines) => {
        const { verdict, events, broken, unsure, notes } = await verifyText(textOf(lines))
        expect({ verdict, events, broken, unsure }).toEqual({
          verdict: 'good',
          events: lines.length,
          broken: 0,
          unsure: 0,
        })
        expect(notes.openRequests).toBe(
          lines.filter(({ isLast, end }) => isLast && end === 'open').length,
        )
      }),
      seeded(RUNS),
    )
  })

  it('finds an event that is missing, at the next of its request', async () => {
    await fc.assert(
      fc.asyncProperty(log, fc.nat(), async (lines, n) => {
        const index = n % lines.length
        const gone = lineOf(lines, index)
        const rest = lines.filter((_, i) => i !== index)
        const next = rest.findIndex(({ id }, i) => i >= index && id === gone.id)
        const found = await verifyText(textOf(rest))
        // A warning or an end may be missing, and nobody can tell; so may all there was.
        const isMissed =
          next >= 0 &&
          ['request', 'started'].includes(gone.event) &&
          !(gone.event === 'request' && rest[next]?.event === 'denial')
        expect(first(found)).toEqual(
          isMissed
            ? { line: next + 1, offset: offsetOf(rest, next), kind: 'impossible' }
            : undefined,
        )
        expect(found.verdict).toBe(isMissed ? 'broken' : 'good')
      }),
      seeded(RUNS),
    )
  })

  it('finds two events of one request in the wrong order', async () => {
    await fc.assert(
      fc.asyncProperty(log, fc.nat(), async (lines, n) => {
        const index = n % lines.length
        const one = lineOf(lines, index)
        const other = lines.findIndex(({ id }, i) => i > index && id === one.id)
        fc.pre(other > index && lines[other]?.event !== one.event)
        const swapped = lines.map((line, i) =>
          i === index ? lineOf(lines, other) : i === other ? one : line,
        )
        const found = await verifyText(textOf(swapped))
        // A request that was denied before it came shows at the request; the others at once.
        const at =
          lines[other]?.event === 'denial' ||
          (one.event === 'warning' && lines[other]?.event === 'exit')
            ? other
            : index
        expect(found.verdict).toBe('broken')
        expect(first(found)).toEqual({
          line: at + 1,
          offset: offsetOf(swapped, at),
          kind: 'impossible',
        })
      }),
      seeded(RUNS),
    )
  })

  it('takes a line that is there twice as a note, and another exit of its request as wrong', async () => {
    await fc.assert(
      fc.asyncProperty(log, fc.nat(), async (lines, n) => {
        const exits = lines.flatMap(({ event }, i) => (event === 'exit' ? [i] : []))
        const index = given(exits[n % exits.length])
        const again = lineOf(lines, index)
        const twice = [...lines.slice(0, index + 1), again, ...lines.slice(index + 1)]
        const same = await verifyText(textOf(twice))
        expect([same.verdict, same.notes.duplicates]).toEqual(['good', 1])
        const changed = { ...again, text: again.text.replace('"code":0', '"code":1') }
        const other = await verifyText(
          textOf([...lines.slice(0, index + 1), changed, ...lines.slice(index + 1)]),
        )
        expect([other.verdict, other.broken, other.notes.duplicates]).toEqual(['broken', 1, 0])
        expect(first(other)).toEqual({
          line: index + 2,
          offset: offsetOf(twice, index + 1),
          kind: 'impossible',
        })
      }),
      seeded(RUNS),
    )
  })

  it('finds a byte of a key that was changed', async () => {
    await fc.assert(
      fc.asyncProperty(
        log,
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (lines, n, at, flip) => {
          const index = n % lines.length
          const { text } = lineOf(lines, index)
          const keys = [...text.matchAll(/"([a-z_]+)":/g)].flatMap(
            ({ index: start, 1: key = '' }) => Array.from(key, (_, i) => start + 1 + i),
          )
          const bytes = Buffer.from(textOf(lines))
          const place = offsetOf(lines, index) + (keys[at % keys.length] ?? 0)
          bytes[place] = (bytes[place] ?? 0) ^ flip
          // That would make two lines of it.
          fc.pre(bytes[place] !== 0x0a)
          const found = await verifyText(bytes)
          expect(found.verdict).toBe('broken')
          expect(found.findings[0]).toMatchObject({
            line: index + 1,
            offset: offsetOf(lines, index),
          })
          expect(['foreign', 'not-utf8', 'torn']).toContain(found.findings[0]?.kind)
        },
      ),
      seeded(RUNS),
    )
  })

  it('finds the cut of a tail, and cannot tell whether it is still being written', async () => {
    await fc.assert(
      fc.asyncProperty(log, fc.nat(), async (lines, n) => {
        const bytes = Buffer.from(textOf(lines))
        const cut = bytes.subarray(0, n % bytes.length)
        const found = await verifyText(cut)
        const whole = cut.lastIndexOf('\n') + 1
        const line = cut.subarray(0, whole).toString().split('\n').length
        const isTorn = whole < cut.length
        expect(found.verdict).toBe(isTorn ? 'unsure' : 'good')
        expect(first(found)).toEqual(isTorn ? { line, offset: whole, kind: 'torn' } : undefined)
      }),
      seeded(RUNS),
    )
  })
})
