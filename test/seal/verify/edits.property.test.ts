import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Signer } from '../../../src/seal/note/signer'
import { entryOf } from '../../../src/seal/tree/hashes'
import { type VerifySealOptions, verifySeal } from '../../../src/seal/verify/verify-seal'
import { Random } from '../../support/random'
import {
  eventLines,
  newSigner,
  requestOf,
  START_MS,
  writeLines,
  writeSeal,
} from '../../support/seal/hand-sealed'
import { drawSeed } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'

const RUNS = times('EDITS', 10, 100)
const NAMES = ['exec.log.2', 'exec.log.1', 'exec.log'] as const
const MINUTE_MS = 60_000

const folder = useTempDir()
const random = new Random(drawSeed())

/** A finding as `kind file:line index request count`. */
type Expected = readonly string[]
const found = (
  kind: string,
  file: number,
  line: number,
  index: number | null,
  request: string | null,
  count = 1,
) => `${kind} ${NAMES[file]}:${line} ${index} ${request} ${count}`
const about = (kind: string, file: string) => `${kind} ${file}:null null null 0`

/** A sealed log of three files. */
class Subject {
  readonly signer: Signer
  readonly files: string[][] = []
  readonly firsts: number[] = []
  readonly folder: string
  options: Partial<VerifySealOptions> = {}

  constructor(root: string) {
    this.folder = root
    this.signer = newSigner(root)
    let next = 0
    for (const _ of NAMES) {
      const count = 20 + random.below(400)
      this.firsts.push(next)
      this.files.push(eventLines(count, next))
      next += count
    }
    for (const i of NAMES.keys()) this.write(i)
  }

  get size(): number {
    return this.files.flat().length
  }

  async seal(files: readonly string[][] = this.files, signer = this.signer): Promise<void> {
    const ranges = files.map((lines, i) => ({ file: NAMES[i] ?? '', lines }))
    await writeSeal(`${this.folder}/seal`, signer, ranges)
  }

  path(i: number): string {
    return `${this.folder}/${NAMES[i]}`
  }

  write(i: number, lines = this.files[i] ?? []): void {
    writeLines(this.path(i), lines)
  }

  /** A file, and its lines as a copy. */
  pick(): { file: number; lines: string[]; first: number } {
    const file = random.below(NAMES.length)
    return { file, lines: [...(this.files[file] ?? [])], first: this.firsts[file] ?? 0 }
  }

  /** What verify finds. */
  async findings(paths = [0, 1, 2].map((i) => this.path(i))): Promise<Expected> {
    const options = {
      keys: [this.signer.key.text],
      firstIndex: 0,
      maxFindings: 1_000,
      ...this.options,
    }
    const clock = options.clock ?? (() => START_MS + this.size)
    const report = await verifySeal(paths, { seal: `${this.folder}/seal`, clock, ...options })
    expect(report.verdict).toBe(
      report.findings.length > 0 ? 'broken' : report.unsure === null ? 'good' : 'unsure',
    )
    if (report.verdict === 'unsure') return ['unsure']
    return report.findings.map(
      ({ kind, file, line, index, request, count }) =>
        `${kind} ${file.slice(this.folder.length + 1)}:${line} ${index} ${request} ${count}`,
    )
  }
}

/** The edits: each changes the log or its seal, and says what is to be found. */
const EDITS: Readonly<Record<string, (subject: Subject) => Promise<Expected> | Expected>> = {
  none: () => [],
  'a changed byte': (subject) => {
    const { file, lines, first } = subject.pick()
    const at = random.below(lines.length)
    const bytes = Buffer.from(lines[at] ?? '')
    // Behind the request's id, so that the line still says whose it is.
    const place = bytes.length - 1 - random.below(8)
    bytes[place] = bytes[place] === 0x78 ? 0x79 : 0x78
    subject.write(file, lines.with(at, bytes.toString()))
    return [found('changed', file, at + 1, first + at, requestOf(first + at))]
  },
  'removed lines': (subject) => {
    const { file, lines, first } = subject.pick()
    const count = 1 + random.below(10)
    const at = random.below(lines.length - count)
    lines.splice(at, count)
    subject.write(file, lines)
    const before = subject.files[file - 1]
    // Between two files they are missed behind the first one.
    return at === 0 && before !== undefined
      ? [found('removed', file - 1, before.length + 1, first, null, count)]
      : [found('removed', file, at + 1, first + at, null, count)]
  },
  'an inserted line': (subject) => {
    const { file, lines } = subject.pick()
    const [line = ''] = eventLines(1, 3_000_000)
    const at = random.below(lines.length - 1)
    lines.splice(at, 0, line)
    subject.write(file, lines)
    return [found('inserted', file, at + 1, null, requestOf(3_000_000))]
  },
  'a line that is there twice': (subject) => {
    const { file, lines, first } = subject.pick()
    const from = random.below(lines.length - 4)
    lines.splice(from + 3, 0, lines[from] ?? '')
    subject.write(file, lines)
    return [found('inserted', file, from + 4, null, requestOf(first + from))]
  },
  'swapped lines': (subject) => {
    const { file, lines, first } = subject.pick()
    const a = random.below(lines.length - 1)
    const b = a + 1 + random.below(lines.length - 1 - a)
    const swapped = lines.with(a, lines[b] ?? '').with(b, lines[a] ?? '')
    subject.write(file, swapped)
    // Of the last two lines one alone stands in the wrong place.
    if (a === lines.length - 2) {
      return [found('swapped', file, b + 1, first + a, requestOf(first + a))]
    }
    return [
      found('swapped', file, a + 1, first + b, requestOf(first + b)),
      found('swapped', file, b + 1, first + a, requestOf(first + a)),
    ]
  },
  'a cut end': (subject) => {
    const { file, lines, first } = subject.pick()
    const kept = 1 + random.below(lines.length - 1)
    subject.write(file, lines.slice(0, kept))
    return [found('truncated', file, kept + 1, first + kept, null, lines.length - kept)]
  },
  'a blanked line': (subject) => {
    const { file, lines, first } = subject.pick()
    const at = random.below(lines.length)
    const isErased = random.chance(0.5)
    const hash = entryOf(Buffer.from(lines[at] ?? '')).toString('hex')
    subject.write(file, lines.with(at, isErased ? `{"erased":"${hash}"}` : ''))
    return [found(isErased ? 'erased' : 'changed', file, at + 1, first + at, null)]
  },
  'lines added after the rotation': (subject) => {
    const file = random.below(2)
    const { length } = subject.files[file] ?? []
    const added = eventLines(1 + random.below(5), 3_000_000)
    subject.write(file, [...(subject.files[file] ?? []), ...added])
    subject.options = { clock: () => START_MS + 3_000_000 + 2 * MINUTE_MS }
    return added.map((_, i) =>
      found('added after rotation', file, length + i + 1, null, requestOf(3_000_000 + i)),
    )
  },
  'a changed tile': (subject) => {
    const tiles = Math.ceil(subject.size / 256)
    const index = random.below(tiles)
    const width = Math.min(256, subject.size - index * 256)
    const partial = width < 256 ? `.p/${width}` : ''
    const tile = `${subject.folder}/seal/tile/0/00${index}${partial}`
    const bytes = readFileSync(tile)
    const at = random.below(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 + random.below(255))
    writeFileSync(tile, bytes)
    return [about('tile changed', 'seal')]
  },
  'a changed checkpoint': (subject) => {
    const file = `${subject.folder}/seal/checkpoint`
    const bytes = readFileSync(file)
    const text = bytes.toString()
    // In the text that is signed, or in the signature itself.
    const end = text.lastIndexOf('=') - 2
    const at = random.chance(0.5) ? random.below(text.indexOf('\n\n')) : end - random.below(60)
    bytes[at] = bytes[at] === 0x41 ? 0x42 : 0x41
    writeFileSync(file, bytes)
    return [about('bad signature', 'seal/checkpoint')]
  },
  'no seal': (subject) => {
    rmSync(`${subject.folder}/seal`, { recursive: true })
    return [about('no seal', 'seal')]
  },
  "a fresh seal by another's key": async (subject) => {
    const { file, lines } = subject.pick()
    lines.splice(random.below(lines.length), 1)
    subject.write(file, lines)
    await subject.seal(subject.files.with(file, lines), newSigner(subject.folder))
    return [about('bad signature', 'seal/checkpoint')]
  },
  'log and seal put back': async (subject) => {
    const kept = `${subject.folder}/kept`
    cpSync(`${subject.folder}/seal/checkpoint`, kept)
    const last = subject.files[2] ?? []
    const older = last.slice(0, random.below(last.length))
    subject.write(2, older)
    await subject.seal(subject.files.with(2, older))
    expect(await subject.findings()).toEqual([])
    subject.options = { checkpoint: kept }
    return [about('rolled back', 'kept')]
  },
  're-anchored': async (subject) => {
    const at = `${subject.folder}/seal`
    const checkpoint = readFileSync(`${at}/checkpoint`, 'utf8')
    cpSync(at, `${at}.1`, { recursive: true })
    const text = JSON.stringify({ reason: 'x', time: 1, folder: 'seal.1', checkpoint })
    const next = newSigner(subject.folder, 'log.example/gw1/2')
    await writeSeal(at, next, [], text)
    return [about('re-anchored', 'seal/checkpoint')]
  },
  'a sealer that has not run for an hour': (subject) => {
    appendFileSync(subject.path(2), `${eventLines(1 + random.below(9), subject.size).join('\n')}\n`)
    subject.options = { clock: () => START_MS + subject.size + 60 * MINUTE_MS }
    return ['unsure']
  },
}

describe('verify', () => {
  it.each(Object.keys(EDITS))(`finds ${RUNS} times: %s`, async (name) => {
    for (let run = 0; run < RUNS; run++) {
      const root = folder.path(String(run))
      mkdirSync(root)
      const subject = new Subject(root)
      await subject.seal()
      const expected = (await EDITS[name]?.(subject)) ?? ['no such edit']
      expect(await subject.findings()).toEqual(expected)
    }
  })

  it(`finds a file that is gone, ${RUNS} times`, async () => {
    for (let run = 0; run < RUNS; run++) {
      mkdirSync(folder.path(String(run)))
      const subject = new Subject(folder.path(String(run)))
      await subject.seal()
      const gone = random.below(3)
      const left = [0, 1, 2].filter((i) => i !== gone)
      const { length } = subject.files[gone] ?? []
      const first = subject.firsts[gone] ?? 0
      const before = subject.files[gone - 1]?.length
      const place =
        before === undefined
          ? found('removed', 1, 1, 0, null, length)
          : found('removed', gone - 1, before + 1, first, null, length)
      expect(await subject.findings(left.map((i) => subject.path(i)))).toEqual([place])
      subject.options = { firstIndex: undefined }
      const isOldest = gone === 0
      expect(await subject.findings(left.map((i) => subject.path(i)))).toEqual(
        isOldest ? [] : [place],
      )
    }
  })
})
