import fc from 'fast-check'
import { visible } from '../../src/cli/shared/escape'
import { eventLine } from '../../src/cli/shared/event-text'
import { NO_NAMES } from '../../src/cli/shared/names'
import { timeline } from '../../src/cli/show/command'
import { LogStatsCollector } from '../../src/cli/stats/log-stats'
import { statsText } from '../../src/cli/stats/stats-text'
import type { AuditRecord } from '../../src/format/records'
import { cutToWidth, foldsOf, isAmbiguousWide, textWidth } from '../../src/toolkit/text/width'
import widths from '../fixtures/terminal-widths.json'
import { AGENT_ID, MACHINE_ID, REQUEST_ID } from '../support/events'
import { seeded } from '../support/seed'
import { times } from '../support/times'

/*
 * Unicode's own data, and what terminals were measured to do, against what is counted: a character may be
 * counted too wide, never too narrow.
 */

function setOf(ranges: readonly string[]): ReadonlySet<number> {
  const codes = ranges.flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map((digits) => Number.parseInt(digits, 16))
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
  return new Set(codes)
}

const WIDE = setOf(widths.wide)
const AMBIGUOUS = setOf(widths.ambiguous)
const EMOJI_STYLE = setOf(widths.emojiStyle)
const WIDER = setOf(Object.values(widths.wider).flat())
const MARK = /[\p{Mn}\p{Me}]/u
const SURROGATE_FIRST = 0xd800
const SURROGATE_LAST = 0xdfff
const CODE_MAX = 0x10ffff
const EMOJI_SELECTOR = 0xfe0f

/** All characters that are shown as they are. */
const shown: readonly number[] = Array.from({ length: CODE_MAX - 0x1f }, (_, i) => i + 0x20).filter(
  (code) => {
    if (code >= SURROGATE_FIRST && code <= SURROGATE_LAST) return false
    const character = String.fromCodePoint(code)
    return visible(character) === character
  },
)

/** The columns of a character on the terminal that gives it the most. */
function columnsOf(code: number): number {
  if (MARK.test(String.fromCodePoint(code))) return 0
  return WIDE.has(code) || WIDER.has(code) ? 2 : 1
}

/** The columns of text on such a terminal; an emoji selector widens what stands before it. */
function shownWidth(text: string): number {
  const codes = [...text].map((character) => character.codePointAt(0) ?? 0)
  return codes.reduce((sum, code, i) => {
    const isWidened = codes[i + 1] === EMOJI_SELECTOR && EMOJI_STYLE.has(code)
    return sum + (isWidened ? 2 : columnsOf(code))
  }, 0)
}

const RUNS = times('RUNS', 200, 5_000)
const paint = (_: unknown, text: string) => text
const oneOf = (codes: Iterable<number>) => {
  const all = [...codes]
  return fc.nat(all.length - 1).map((i) => all[i] ?? 0)
}
/** The characters for which a table may be wrong, each kind as likely as the others. */
const character = fc
  .oneof(
    oneOf(shown),
    oneOf(WIDE),
    oneOf(EMOJI_STYLE),
    oneOf(WIDER),
    fc.constantFrom(EMOJI_SELECTOR, 0x20e3, 0x301, 0x93f, 0x200d, 0x1f3fb, 0x1f1e6, 0x202e, 0xa),
    fc.constantFrom(..."a '\\-".split('').map((text) => text.charCodeAt(0))),
  )
  .map((code) => String.fromCodePoint(code))
const text = fc.array(character, { maxLength: 120 }).map((characters) => characters.join(''))

describe("a character's width", () => {
  it("is at least Unicode's own, and that of every terminal that was measured", () => {
    const narrow = shown.filter((code) => textWidth(String.fromCodePoint(code)) < columnsOf(code))
    expect(narrow.map((code) => code.toString(16))).toEqual([])
    // All that Unicode 17 has assigned are looked at, less what newer or older tables of Node lack.
    expect(shown.length).toBeGreaterThan(150_000)
  })

  it('is no more than that for all but pictures, which some terminals show in two columns', () => {
    const wide = shown.filter((code) => textWidth(String.fromCodePoint(code)) > columnsOf(code))
    const isPicture = (code: number) => code >= 0x1f000 && code <= 0x1faff
    // Spacing marks of two columns, whose base a terminal may put them on.
    const isSpacing = (code: number) => /\p{Mc}/u.test(String.fromCodePoint(code))
    const unlike = wide.filter((code) => !isPicture(code) && !isSpacing(code))
    expect(unlike.map((code) => code.toString(16))).toEqual(['17d8'])
  })

  it('is two for Greek, Cyrillic and boxes in the locales whose terminals show them so', () => {
    const narrow = shown.filter((code) => {
      const character = String.fromCodePoint(code)
      return AMBIGUOUS.has(code) && !MARK.test(character) && textWidth(character, true) < 2
    })
    expect(narrow).toEqual([])
    expect([textWidth('αж─', false), textWidth('αж─', true)]).toEqual([3, 6])
    const locales = [{ LANG: 'ja_JP.UTF-8' }, { LC_ALL: 'zh_CN', LANG: 'C' }, { LC_CTYPE: 'ko' }]
    expect(locales.map(isAmbiguousWide)).toEqual([true, true, true])
    const others = [{}, { LC_ALL: 'C.UTF-8', LANG: 'ja_JP' }, { LC_ALL: '', LANG: 'de_DE' }]
    expect(others.map(isAmbiguousWide)).toEqual([false, false, false])
  })

  it('is of a sequence what the widest terminal makes of it', () => {
    expect(
      ['☎', '☎\ufe0f', '1\ufe0f\u20e3', '日\ufe0f', '\ufe0f', 'e\u0301'].map((t) => textWidth(t)),
    ).toEqual([1, 2, 2, 2, 0, 1])
    expect(['🇩🇪', '👍🏽', 'कि'].map((t) => textWidth(t))).toEqual([4, 4, 2])
  })
})

describe('text from strangers on a terminal', () => {
  const widthOf = fc.integer({ min: 18, max: 120 })
  const parties = { agentId: AGENT_ID, machineId: MACHINE_ID }
  const place = { line: 1, offset: 0, length: 1 }
  const requestOf = (argv: readonly string[], acl: string): AuditRecord => ({
    ...{ event: 'request', tsUnixMs: 0, requestId: REQUEST_ID, ...parties, argv },
    ...{ matchedAcl: acl, stdinBytes: 1, timeoutMs: 2, ...place },
  })
  const longest = (output: string) => Math.max(...output.split('\n').map(shownWidth))

  it('is cut so that it never needs more columns than there are', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 200 }), fc.boolean(), (any, width, isWide) => {
        const cut = cutToWidth(visible(any), width, isWide)
        expect(shownWidth(cut)).toBeLessThanOrEqual(width)
        if (textWidth(visible(any), isWide) <= width) expect(cut).toBe(visible(any))
      }),
      seeded(RUNS),
    )
  })

  it('is folded so that no line needs more columns than there are, and nothing is lost', () => {
    const place = fc.record({
      width: fc.integer({ min: 6, max: 100 }),
      column: fc.integer({ min: 0, max: 150 }),
      indent: fc.integer({ min: 0, max: 4 }),
    })
    fc.assert(
      fc.property(text.map(visible), place, (any, { width, column, indent }) => {
        const folds = foldsOf(any, { width, column, indent }, false)
        const lines = [0, ...folds].map((start, i) => any.slice(start, folds[i]))
        expect(lines.join('')).toBe(any)
        const used = lines.map((line, i) => shownWidth(line) + (i === 0 ? column : indent))
        expect(used.slice(1).every((columns) => columns <= width)).toBe(true)
        if (column <= width) expect(used[0]).toBeLessThanOrEqual(width)
      }),
      seeded(RUNS),
    )
  })

  it('is folded behind a mark without a width that begins the first line', () => {
    const [mark, wide] = ['\ufe0f', '\u17a4']
    expect(foldsOf(mark + wide, { width: 6, column: 5, indent: 0 }, false)).toEqual([1])
  })

  it('is folded at a space, unless the word would leave much of a line empty', () => {
    const linesOf = (text: string, width: number) => {
      const folds = foldsOf(text, { width, column: 0, indent: 4 }, false)
      return [0, ...folds].map((start, i) => text.slice(start, folds[i]))
    }
    expect(linesOf('exit 0  (stdout 12 B, stderr 0 B)', 20)).toEqual([
      'exit 0  (stdout 12 ',
      'B, stderr 0 B)',
    ])
    expect(linesOf(`echo ${'a'.repeat(60)}`, 40)).toEqual([
      `echo ${'a'.repeat(35)}`,
      'a'.repeat(25),
    ])
  })

  it.each([
    ['view', false],
    ['view --wide', true],
  ])('never reaches the beginning of a line of %s', (_, isFolded) => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 4 }), text, widthOf, (argv, acl, width) => {
        const style = { paint, width, isFolded, isUtc: true }
        const [first = '', ...others] = eventLine(
          requestOf(argv, acl),
          { ...parties, argv },
          style,
        ).split('\n')
        expect(longest([first, ...others].join('\n'))).toBeLessThanOrEqual(width)
        expect(others.every((line) => line.startsWith('    '))).toBe(true)
        if (!isFolded) expect(others).toEqual([])
      }),
      seeded(RUNS),
    )
  })

  it('never reaches the beginning of an event of show', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 4 }), text, widthOf, (argv, acl, width) => {
        const shown = timeline([requestOf(argv, acl)], { utc: true }, paint, width)
        const [, events = ''] = shown.split('\n\n')
        const [event = '', ...folded] = events.split('\n')
        expect(event.startsWith('1970-01-01')).toBe(true)
        expect(folded.every((line) => line.startsWith('    '))).toBe(true)
        expect(longest(folded.join('\n'))).toBeLessThanOrEqual(width)
      }),
      seeded(RUNS),
    )
  })

  it('never reaches the beginning of a row of stats', () => {
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 4 }),
        fc.integer({ min: 60, max: 250 }),
        (commands, width) => {
          const collector = new LogStatsCollector({ top: 10, isUtc: true })
          for (const [i, command] of commands.entries()) {
            collector.take({ ...requestOf([command], ''), requestId: `${i}`.padStart(32, '0') })
          }
          const report = statsText(collector.stats(), {
            ...{ paint, isUtc: true, by: undefined, width, names: NO_NAMES },
          })
          // Heads and notes are our own words, which may go on in the next line.
          const rows = report.split('\n').filter((row) => !/^Without|neither/.test(row))
          expect(longest(rows.join('\n'))).toBeLessThanOrEqual(width)
        },
      ),
      seeded(RUNS),
    )
  })
})
