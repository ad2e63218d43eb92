import {
  appendFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { initSeal } from '../../../src/seal/sealer/open-sealer'
import type { ResolvedPlace } from '../../../src/seal/sealer/seal-options'
import { MovedClock } from '../../support/children/moved-clock'
import { runCli, startCli } from '../../support/cli'
import {
  findingsOf,
  leafOfLine,
  newPlace,
  placeOptions,
  sealedLeaves,
  unequal,
} from '../../support/seal/sealer-place'
import { useTempDir } from '../../support/temp-dir'
import { pause, until } from '../../support/waiting'

const SECOND_MS = 1_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const DECADE_MS = 3_652 * DAY_MS
const STOPPED_MS = 2_000
const JUMPS: readonly (readonly [name: string, ms: number])[] = [
  ['forward by a day', DAY_MS],
  ['back by a day', -DAY_MS],
  ['forward by ten years', DECADE_MS],
  ['back by ten years', -DECADE_MS],
]

describe('a wall clock that jumps', () => {
  const dir = useTempDir()

  const init = async () => {
    const place = newPlace(dir.path('.'))
    await initSeal(place)
    return { place, clock: new MovedClock(dir.path('.')) }
  }
  /** As logrotate does it, for the first rotations of a log. */
  const rotate = ({ log }: ResolvedPlace) => {
    for (const n of [8, 7, 6, 5, 4, 3, 2, 1]) {
      if (existsSync(`${log}.${n}`)) renameSync(`${log}.${n}`, `${log}.${n + 1}`)
    }
    renameSync(log, `${log}.1`)
  }
  const untilSealed = (place: ResolvedPlace, lines: number) =>
    until(`not ${lines} lines are sealed`, () => sealedLeaves(place).length === lines)
  const once = (place: ResolvedPlace, clock: MovedClock) =>
    runCli(['seal', '--once', ...placeOptions(place)], '', clock.wrapper)
  const DONE = { code: 0, stderr: '' }

  it.each(JUMPS)(
    '%s and back seals each line once, over rotations, stops and restarts',
    async (_, jumpMs) => {
      const { place, clock } = await init()
      const { log } = place
      const start = () =>
        startCli(['seal', ...placeOptions(place), '--interval', '100ms'], '', clock.wrapper)
      writeFileSync(log, 'a\n')
      let sealer = start()
      await untilSealed(place, 1)
      let lines = 1
      const oldest = () => `line ${lines++}\n`
      for (const offsetMs of [jumpMs, 0]) {
        // While it follows.
        clock.set(offsetMs)
        rotate(place)
        writeFileSync(log, oldest())
        appendFileSync(`${log}.1`, oldest())
        await untilSealed(place, lines)
        // While it is stopped, with the clock elsewhere in between.
        sealer.child.kill('SIGSTOP')
        clock.set(offsetMs - jumpMs / 2)
        rotate(place)
        writeFileSync(log, oldest())
        appendFileSync(`${log}.1`, oldest())
        await pause(STOPPED_MS)
        clock.set(offsetMs)
        sealer.child.kill('SIGCONT')
        await untilSealed(place, lines)
        // While it does not run.
        sealer.child.kill('SIGTERM')
        expect((await sealer.end).code).toBe(0)
        clock.set(jumpMs - offsetMs)
        appendFileSync(`${log}.1`, oldest())
        appendFileSync(log, oldest())
        sealer = start()
        await untilSealed(place, lines)
      }
      sealer.child.kill('SIGTERM')
      const { code, stderr } = await sealer.end
      expect([code, stderr]).toEqual([0, `x0x-exec-audit: sealing ${log} in ${place.seal}\n`])
      expect(unequal(place)).toEqual([])
      expect(await findingsOf(place)).toEqual([])
    },
  )

  describe('between the rotation and a late line', () => {
    /** The next file is opened at one time, and the sealer starts again at another, behind a late line. */
    const sealLate = async (
      openedMs: number,
      startedMs: number,
      edit?: (text: string) => string,
    ) => {
      const { place, clock } = await init()
      clock.set(openedMs)
      writeFileSync(place.log, 'a\n')
      expect(await once(place, clock)).toMatchObject(DONE)
      rotate(place)
      writeFileSync(place.log, 'b\n')
      expect(await once(place, clock)).toMatchObject(DONE)
      const segments = join(place.seal, 'segments')
      if (edit !== undefined) writeFileSync(segments, edit(readFileSync(segments, 'utf8')))
      appendFileSync(`${place.log}.1`, 'late\n')
      clock.set(startedMs)
      expect(await once(place, clock)).toMatchObject(DONE)
      return { place, leaves: sealedLeaves(place) }
    }
    const WITH_LATE = ['a', 'b', 'late'].map(leafOfLine)
    const WITHOUT = WITH_LATE.slice(0, 2)
    /** The next file was opened an hour earlier, and nobody has set the clock. */
    const anHourAgo = (text: string) =>
      text.replaceAll(/"(opened|uptime)":(\d+)/g, (_, name, ms) => `"${name}":${ms - HOUR_MS}`)

    it.each(JUMPS)('%s loses no line over a restart', async (_, jumpMs) => {
      // The file's own time is the true one, so the jump is over when the late line comes.
      expect((await sealLate(-jumpMs, 0)).leaves).toEqual(WITH_LATE)
    })

    it('loses no line if it was set back after the line, too', async () => {
      expect((await sealLate(-HOUR_MS, -2 * HOUR_MS)).leaves).toEqual(WITH_LATE)
    })

    it('loses no line of which nobody knows whether it came before the clock was set back', async () => {
      const setBack = (text: string) =>
        text.replaceAll(/"uptime":(\d+)/g, (_, ms) => `"uptime":${ms - HOUR_MS}`)
      expect((await sealLate(0, 0, setBack)).leaves).toEqual(WITH_LATE)
    })

    it('lets no line in that came an hour after the rotation', async () => {
      const { place, leaves } = await sealLate(0, 0, anHourAgo)
      expect(leaves).toEqual(WITHOUT)
      expect(unequal(place)).toEqual(['late'])
    })

    it('is not known of a rotation before the machine was started', async () => {
      const boot = (text: string) => text.replaceAll(/"boot":"[0-9a-f-]{36}"/g, '"boot":"other"')
      expect((await sealLate(-DAY_MS, 0, boot)).leaves).toEqual(WITHOUT)
    })
  })

  it.each(JUMPS)('%s leaves the age of the oldest unsealed line as it is', async (_, jumpMs) => {
    const { place, clock } = await init()
    const [signs, metrics] = [dir.path('sign'), dir.path('seal.prom')]
    const sign = (script: string) => writeFileSync(signs, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    const recipe = `t=$(mktemp) && cat >"$t" && openssl pkeyutl -sign -rawin -inkey '${dir.path('key.pem')}' -in "$t" | base64 -w0; rm "$t"`
    sign(recipe)
    const { log, seal, key, lastFile } = place
    const options = ['--log', log, '--seal', seal, '--sign-command', signs, '--vkey', key.text]
    const start = () =>
      startCli(
        ['seal', ...options, '--last', lastFile, '--metrics-file', metrics, '--interval', '100ms'],
        '',
        clock.wrapper,
      )
    const age = () =>
      Number(
        /^exec_audit_seal_oldest_unsealed_seconds (.*)$/m.exec(readFileSync(metrics, 'utf8'))?.[1],
      )
    const failures = () =>
      Number(/^exec_audit_seal_failures_total (.*)$/m.exec(readFileSync(metrics, 'utf8'))?.[1])
    /** Once this many attempts more have failed, the newest age is of this clock. */
    const afterFailures = async (more: number) => {
      const enough = failures() + more
      await until('it does not fail', () => failures() >= enough)
      return age()
    }
    const began = performance.now()
    const secondsSince = (ms: number) => (performance.now() - ms) / SECOND_MS
    writeFileSync(log, 'a\n')
    let sealer = start()
    await until(
      'it writes no metrics',
      () => existsSync(metrics) && sealedLeaves(place).length === 1,
    )
    await until('it waits', () => age() === 0)
    sign('exit 3')
    appendFileSync(log, 'b\n')
    const ages = [await afterFailures(2)]
    for (const offsetMs of [jumpMs, 0]) {
      clock.set(offsetMs)
      ages.push(await afterFailures(2))
    }
    sealer.child.kill('SIGSTOP')
    clock.set(jumpMs)
    await pause(STOPPED_MS)
    sealer.child.kill('SIGCONT')
    ages.push(await afterFailures(2))
    // It only grows, as fast as time passes.
    expect(ages).toEqual(ages.toSorted((a, b) => a - b))
    expect(ages[0]).toBeGreaterThan(0)
    expect((ages[3] ?? 0) - (ages[2] ?? 0)).toBeGreaterThan(STOPPED_MS / SECOND_MS)
    expect(ages[3]).toBeLessThan(secondsSince(began))
    sealer.child.kill('SIGTERM')
    await sealer.end
    sign(recipe)
    rmSync(metrics)
    sealer = start()
    await until('it seals nothing', () => existsSync(metrics) && age() === 0)
    expect(sealedLeaves(place)).toEqual(['a', 'b'].map(leafOfLine))
    sealer.child.kill('SIGTERM')
    expect((await sealer.end).code).toBe(0)
  })
})
