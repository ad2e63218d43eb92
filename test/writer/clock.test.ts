import { readFileSync } from 'node:fs'
import { startedEvent } from '../support/events'
import { openAudit } from '../support/open-audit'
import { useTempDir } from '../support/temp-dir'

describe('the time of an event', () => {
  const dir = useTempDir()
  const times = () => {
    const lines = readFileSync(dir.path('exec.log'), 'utf8').trimEnd().split('\n')
    return lines.map((line): number => JSON.parse(line).ts_unix_ms)
  }

  it('is that of the call, in whole milliseconds, and 0 before 1970', async () => {
    const given = [1_700_000_000_000, 1_600_000_000_000.9, -5, 0, 2 ** 53 - 1, 1e300]
    let next = 0
    const { audit } = openAudit(dir.path('exec.log'), { clock: () => given[next++] ?? 0 })
    await Promise.all(given.map(() => audit.started(startedEvent())))
    expect(times()).toEqual([1_700_000_000_000, 1_600_000_000_000, 0, 0, 2 ** 53 - 1, 2 ** 53 - 1])
  })

  it('is the system time if the clock throws or gives no number', async () => {
    const clocks = [
      () => {
        throw new Error('broken')
      },
      () => Number.NaN,
    ]
    const before = Date.now()
    for (const clock of clocks) {
      const { audit } = openAudit(dir.path('exec.log'), { clock })
      expect(await audit.started(startedEvent())).toBe('durable')
    }
    const after = Date.now()
    expect(times().map((time) => time >= before && time <= after)).toEqual([true, true])
  })

  it.each([
    [-5, 0],
    [1.5, 1],
    [Number.NaN, 0],
  ])('is 0 or more and whole, even if Date.now is replaced and says %d', async (said, expected) => {
    const { audit } = openAudit(dir.path('exec.log'), { clock: undefined })
    const now = jest.spyOn(Date, 'now').mockReturnValue(said)
    const outcome = audit.started(startedEvent())
    now.mockRestore()
    expect(await outcome).toBe('durable')
    expect(times()).toEqual([expected])
  })
})
