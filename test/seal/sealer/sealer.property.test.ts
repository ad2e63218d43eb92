import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { initSeal } from '../../../src/seal/sealer/open-sealer'
import { SealFolder } from '../../../src/seal/sealer/seal-folder'
import { SealLock } from '../../../src/seal/sealer/seal-lock'
import type { ResolvedPlace } from '../../../src/seal/sealer/seal-options'
import { Sealer } from '../../../src/seal/sealer/sealer'
import { Random } from '../../support/random'
import {
  countOf,
  leafOfLine,
  linesOf,
  logFiles,
  newPlace,
  sealedLeaves,
} from '../../support/seal/sealer-place'
import { drawSeed } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'

jest.setTimeout(600_000)

const LOGS = times('LOGS', 3, 60)
const STEPS = 100
const FILES_MAX = 4
const LIVE = 'exec.log'

/** A process that dies at one of the sealer's steps. */
class Killed extends Error {}

/** A folder that dies, or is full, before or after a step. */
class FaultyFolder extends SealFolder {
  fault: { kind: 'kill' | 'full'; steps: number } | undefined

  #step(): void {
    if (this.fault === undefined || this.fault.steps-- > 0) return
    const { kind } = this.fault
    // A dead process does nothing more; a disk is full once.
    if (kind === 'full') this.fault = undefined
    else this.fault.steps = 0
    throw kind === 'full' ? Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }) : new Killed()
  }

  override async writeTiles(...tiles: Parameters<SealFolder['writeTiles']>) {
    this.#step()
    await super.writeTiles(...tiles)
    this.#step()
  }

  override async addSegments(...segments: Parameters<SealFolder['addSegments']>) {
    this.#step()
    await super.addSegments(...segments)
    this.#step()
  }

  override async append(name: string, content: string) {
    this.#step()
    if (this.fault?.kind === 'kill' && this.fault.steps === 0) {
      appendFileSync(this.file(name), content.slice(0, content.length / 2))
    }
    this.#step()
    await super.append(name, content)
    this.#step()
  }

  override async replace(name: string, content: Uint8Array) {
    this.#step()
    await super.replace(name, content)
    this.#step()
  }
}

/** A log with its rotations, and each line that was ever written to it. */
class Log {
  readonly #folder: string
  readonly #random: Random
  #lines = 0
  /** Descriptors of writers that opened the file before it was renamed. */
  #late: { descriptor: number } | undefined
  /** Lines that may be sealed and need not: their file went before anybody could look. */
  readonly optional = new Map<string, number>()

  constructor(folder: string, random: Random) {
    this.#folder = folder
    this.#random = random
  }

  path(name: string): string {
    return join(this.#folder, name)
  }

  files(): readonly string[] {
    return logFiles(this.path(LIVE))
  }

  linesOf(name: string): string[] {
    return linesOf(this.path(name))
  }

  /** Whole lines, some of them blank or long, and now and then the group before once more. */
  group(): string {
    const random = this.#random
    const lines = Array.from({ length: 1 + random.below(random.chance(0.06) ? 300 : 4) }, () => {
      if (random.chance(0.05)) return ''
      return `line ${this.#lines++} ${'x'.repeat(random.chance(0.02) ? 300_000 : random.below(80))}`
    })
    return lines.map((line) => `${line}\n`).join('')
  }

  append(): void {
    const group = this.group()
    appendFileSync(this.path(LIVE), group)
    if (this.#random.chance(0.05)) appendFileSync(this.path(LIVE), group)
  }

  tear(): void {
    appendFileSync(this.path(LIVE), `torn ${this.#lines++}`)
    // The writer closes a fragment at its next start.
    if (this.#random.chance(0.7)) appendFileSync(this.path(LIVE), '\n')
  }

  /** As logrotate does it; a writer that is in a write goes on in the renamed file. */
  rotate(): void {
    if (!existsSync(this.path(LIVE))) return
    this.endLate()
    const age = (name: string) => Number(/\.(\d+)/.exec(name)?.[1] ?? 0)
    // What gzip has left behind when it was killed.
    for (const name of this.files()) rmSync(this.path(`${name}.gz`), { force: true })
    for (const name of this.files()) {
      if (age(name) === 0) continue
      if (age(name) >= FILES_MAX) this.remove(name)
      else renameSync(this.path(name), this.path(name.replace(/\.\d+/, `.${age(name) + 1}`)))
    }
    this.#late = { descriptor: openSync(this.path(LIVE), 'a') }
    renameSync(this.path(LIVE), this.path(`${LIVE}.1`))
    if (this.#random.chance(0.7)) writeFileSync(this.path(LIVE), '')
  }

  appendLate(): void {
    if (this.#late !== undefined) writeSync(this.#late.descriptor, this.group())
  }

  endLate(): void {
    if (this.#late !== undefined) closeSync(this.#late.descriptor)
    this.#late = undefined
  }

  compress(): void {
    const name = this.files().find((each) => each === `${LIVE}.${this.#random.pick([1, 2])}`)
    if (name === undefined) return
    if (name === `${LIVE}.1`) this.endLate()
    const bytes = readFileSync(this.path(name))
    writeFileSync(this.path(`${name}.gz`), gzipSync(bytes))
    rmSync(this.path(name))
  }

  /** gzip that has not ended yet. */
  beginToCompress(): void {
    if (existsSync(this.path(`${LIVE}.1`))) {
      writeFileSync(this.path(`${LIVE}.1.gz`), gzipSync('half').subarray(0, 12))
    }
  }

  /** copytruncate, into a name that is the newest one. */
  copyTruncate(): void {
    if (!this.files().includes(LIVE) || this.files().some((name) => /\.1\b/.test(name))) return
    copyFileSync(this.path(LIVE), this.path(`${LIVE}.1`))
    truncateSync(this.path(LIVE), 0)
    if (this.#random.chance(0.5)) this.append()
  }

  remove(name: string): void {
    if (name === `${LIVE}.1`) this.endLate()
    for (const line of this.linesOf(name)) {
      this.optional.set(line, (this.optional.get(line) ?? 0) + 1)
    }
    rmSync(this.path(name))
    rmSync(this.path(`${name}.gz`), { force: true })
  }

  removeOldest(): void {
    const [oldest] = this.files()
    if (oldest !== undefined && oldest !== LIVE) this.remove(oldest)
  }
}

describe('the sealer beside a log that is rotated, cut, compressed and deleted', () => {
  const dir = useTempDir()
  const seed = drawSeed()

  async function open(place: ResolvedPlace, notes: string[]) {
    const folder = new FaultyFolder(place.seal)
    const lock = await SealLock.take(place.seal)
    if (lock === undefined) throw new Error('the lock is held')
    try {
      const { log, lastFile } = place
      const onNote = ({ message }: { message: string }) => void notes.push(message)
      const parts = { log, folder, signer: place.signer(), lastFile, lock, onNote }
      return { folder, sealer: await Sealer.open(parts) }
    } catch (thrown) {
      await lock.release()
      throw thrown
    }
  }

  async function check(place: ResolvedPlace, log: Log): Promise<void> {
    const leaves = sealedLeaves(place)
    const leafOf = leafOfLine
    const there = log.files().flatMap((name) => log.linesOf(name))
    const expected = countOf(there.map(leafOf))
    const optional = new Map([...log.optional].map(([line, times]) => [leafOf(line), times]))
    const found = countOf(leaves)
    const wrong = [...new Set([...expected.keys(), ...found.keys()])].filter((leaf) => {
      const least = expected.get(leaf) ?? 0
      const times = found.get(leaf) ?? 0
      return times < least || times > least + (optional.get(leaf) ?? 0)
    })
    const names = new Map(there.map((line) => [leafOf(line), line.slice(0, 30)]))
    expect(wrong.map((leaf) => names.get(leaf) ?? `no line: ${leaf}`)).toEqual([])
    // Within a file, lines are sealed in its order.
    for (const name of log.files()) {
      let at = -1
      for (const line of log.linesOf(name)) {
        if (line === '' || (found.get(leafOf(line)) ?? 0) > 1) continue
        const next = leaves.indexOf(leafOf(line))
        expect(next).toBeGreaterThan(at)
        at = next
      }
    }
  }

  it(`seals each line once, in ${LOGS} random logs with kills and full disks`, async () => {
    for (let i = 0; i < LOGS; i++) {
      const random = new Random(seed + i)
      const folder = dir.path(`log-${i}`)
      const log = new Log(folder, random)
      mkdirSync(folder)
      const place = newPlace(folder)
      if (random.chance(0.5)) log.append()
      await initSeal(place)
      const notes: string[] = []
      let running = await open(place, notes)
      const kill = async () => {
        await running.sealer.close()
        running = await open(place, notes)
      }
      const pass = async () => {
        try {
          for (let hasMore = true; hasMore; ) hasMore = await running.sealer.pass()
        } catch (thrown) {
          if (!(thrown instanceof Killed)) throw thrown
        }
        if (running.folder.fault?.kind === 'kill' && running.folder.fault.steps <= 0) await kill()
      }
      const steps: readonly [weight: number, step: () => unknown][] = [
        [10, () => log.append()],
        [2, () => log.tear()],
        [3, () => log.rotate()],
        [3, () => log.appendLate()],
        [1, () => log.compress()],
        [1, () => log.beginToCompress()],
        [1, () => log.copyTruncate()],
        [1, () => log.removeOldest()],
        [1, () => kill()],
        [
          2,
          () => {
            const kind = random.pick<'kill' | 'full'>(['kill', 'full'])
            running.folder.fault = { kind, steps: random.below(9) }
          },
        ],
        [12, () => pass()],
      ]
      const all = steps.flatMap(([weight, step]) => Array.from({ length: weight }, () => step))
      for (let step = 0; step < STEPS; step++) await all[random.below(all.length)]?.()
      running.folder.fault = undefined
      await kill()
      await pass()
      await check(place, log)
      await running.sealer.close()
      log.endLate()
    }
  })
})
