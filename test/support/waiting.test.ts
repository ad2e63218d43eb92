import { startChild } from './children/run-child'
import { endsWithin, leastOf, patient, pause, stall, turn, until } from './waiting'

describe('until', () => {
  it('returns once the condition holds', async () => {
    let looks = 0
    await until('it never holds', () => ++looks === 3)
    expect(looks).toBe(3)
  })

  it('throws what is wrong once its limit is over', async () => {
    const from = performance.now()
    await expect(until('it never holds', () => false, 20)).rejects.toThrow('it never holds')
    expect(performance.now() - from).toBeGreaterThanOrEqual(patient(20))
  })

  it('throws what the condition throws', async () => {
    const broken = () => {
      throw new Error('broken')
    }
    await expect(until('it never holds', broken)).rejects.toThrow('broken')
  })
})

describe('endsWithin', () => {
  it('tells a promise that settles from one that hangs', async () => {
    expect(await endsWithin(turn(), 10_000)).toBe('ended')
    expect(await endsWithin(new Promise(() => undefined), 1)).toBe('hangs')
    await expect(endsWithin(Promise.reject(new Error('no')), 10_000)).rejects.toThrow('no')
  })
})

describe('pause and stall', () => {
  it('let the time pass, the one with the callbacks of the thread and the other without', async () => {
    const seen: string[] = []
    void turn().then(() => seen.push('turn'))
    const from = performance.now()
    stall(20)
    seen.push('stalled')
    await pause(20)
    expect(seen).toEqual(['stalled', 'turn'])
    // A timer counts whole milliseconds.
    expect(performance.now() - from).toBeGreaterThanOrEqual(38)
  })
})

describe('leastOf', () => {
  it('stops at the first run below the limit', async () => {
    const runs = [9, 8, 4, 1]
    expect(await leastOf(5, async (run) => runs[run] ?? 0)).toBe(4)
  })

  it('returns the least if no run is below the limit', async () => {
    const runs = [9, 6, 8, 7, 9, 0]
    expect(await leastOf(5, async (run) => runs[run] ?? 0)).toBe(6)
  })
})

describe('WAITING', () => {
  it('gives the same functions to the script of a child', async () => {
    const script = `
      let looks = 0
      const main = async () => {
        await turn()
        await pause(1)
        stall(1)
        await until('it never holds', () => ++looks === 3)
        console.log(looks, await endsWithin(turn(), 10_000))
        await until('it never holds', () => false, 1)
      }
      main()`
    const { code, stdout, stderr } = await startChild(script, ['unused']).end
    expect([code, stdout]).toEqual([1, '3 ended\n'])
    expect(stderr).toContain('Error: it never holds')
  })
})
