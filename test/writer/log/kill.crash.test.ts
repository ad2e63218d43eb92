import { appendFileSync, closeSync, openSync, readSync, statSync } from 'node:fs'
import { loadLine, runUntilKilled } from '../../support/children/load-child'
import { seededRandom } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'

const KILLS = times('KILLS', 20, 200)
const BIG_KILLS = times('BIG_KILLS', 6, 40)
const MIB = 2 ** 20

/** The text of a file from an offset on. */
function readFrom(path: string, offset: number): string {
  const bytes = Buffer.alloc(statSync(path).size - offset)
  const fd = openSync(path, 'r')
  readSync(fd, bytes, 0, bytes.length, offset)
  closeSync(fd)
  return bytes.toString('latin1')
}

describe('SIGKILL under load', () => {
  const dir = useTempDir()

  /**
   * Kills a writer again and again. Each time the file must have grown by exactly: a newline if it
   * ended with a fragment; the lines of the events in their order, those acknowledged among them; and
   * at most one fragment, of the next event. The next writer must report that.
   *
   * SIGKILL seldom cuts a small write(2). To have fragments for certain, the first file that ended well
   * and half of the others get the first bytes of the next event's line, as a torn write leaves them.
   */
  const killAgainAndAgain = async (kills: number, afterMsMax: number, fill: number) => {
    const random = seededRandom()
    const path = dir.path('exec.log')
    const sums = { acked: 0, tornByKill: 0, tornByHand: 0 }
    let size = 0
    let torn: readonly string[] = []
    for (let kill = 0; kill < kills; kill++) {
      const from = kill * 1_000_000
      const afterMs = random() * afterMsMax
      const reported = await runUntilKilled({ path, from, afterMs, fill, isTorn: torn.length > 0 })
      expect(reported.torn).toEqual(torn)

      const text = readFrom(path, size)
      const closed = torn.length > 0 ? '\n' : ''
      const events = text.split('\n').length - 1 - closed.length
      const pids = Array.from({ length: events }, (_, i) => from + i)
      const whole = closed + pids.map((pid) => loadLine(pid, fill)).join('')
      const next = loadLine(from + events, fill)
      // Not toBe: it would print megabytes.
      expect(text === whole + next.slice(0, text.length - whole.length)).toBe(true)
      expect(reported.acked).toEqual(pids.slice(0, reported.acked.length))
      expect(reported.acked.length).toBeGreaterThan(0)
      sums.acked += reported.acked.length

      let fragment = text.length - whole.length
      if (fragment > 0) {
        sums.tornByKill++
      } else if (sums.tornByHand === 0 || random() < 0.5) {
        fragment = 1 + Math.floor(random() * (next.length - 1))
        appendFileSync(path, next.slice(0, fragment))
        sums.tornByHand++
      }
      size += whole.length + fragment
      torn = fragment > 0 ? [`torn ${fragment} bytes,offset ${size - fragment}`] : []
    }
    process.stdout.write(`    ${kills} kills, 0 lost: ${JSON.stringify(sums)}\n`)
    return sums
  }

  it(`loses nothing durable, and merges no line, in ${KILLS} kills`, async () => {
    const sums = await killAgainAndAgain(KILLS, 60, 0)
    expect(sums.tornByHand).toBeGreaterThan(0)
  }, 300_000)

  it(`nor in ${BIG_KILLS} kills while lines of a mebibyte are written`, async () => {
    const sums = await killAgainAndAgain(BIG_KILLS, 20, MIB)
    expect(sums.tornByKill + sums.tornByHand).toBeGreaterThan(0)
  }, 300_000)
})
