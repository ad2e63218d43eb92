import type * as ExitDrain from '../../src/writer/exit-drain'

/** A copy of the module, as a test runner or a hot reloader loads one anew. */
function newCopy(): typeof ExitDrain {
  let copy: typeof ExitDrain | undefined
  jest.isolateModules(() => {
    copy = jest.requireActual<typeof ExitDrain>('../../src/writer/exit-drain')
  })
  if (copy === undefined) throw new Error('not loaded')
  return copy
}

describe('draining at exit', () => {
  const before = process.listeners('exit')
  const own = () => process.listeners('exit').filter((listener) => !before.includes(listener))
  afterEach(() => {
    for (const listener of own()) process.off('exit', listener)
  })
  const emitExit = () => {
    for (const listener of own()) Reflect.apply(listener, process, [0])
  }

  it('takes one listener for all copies of the package, which know of the exit together', () => {
    const calls: string[] = []
    const copies = Array.from({ length: 13 }, newCopy)
    copies.forEach(({ drainAtExit }, i) => {
      drainAtExit({
        drainAtExit: () => calls.push(`drain ${i}`) > 0,
        reportAtExit: () => void calls.push(`report ${i}`),
      })
    })
    expect(own()).toHaveLength(1)
    expect(copies.map(({ isExiting }) => isExiting())).not.toContain(true)
    emitExit()
    expect(copies.map(({ isExiting }) => isExiting())).not.toContain(false)
    const numbers = Array.from(copies.keys())
    expect(calls).toEqual([
      ...numbers.map((i) => `drain ${i}`),
      ...numbers.map((i) => `report ${i}`),
    ])
  })

  it('forgets what another copy was asked for by its owner alone', () => {
    const calls: string[] = []
    const [first, second] = [newCopy(), newCopy()]
    const audit = (name: string) => ({
      drainAtExit: () => calls.push(name) > 0,
      reportAtExit: () => undefined,
    })
    const [a, b] = [audit('a'), audit('b')]
    first.drainAtExit(a)
    second.drainAtExit(b)
    second.forgetAtExit(b)
    emitExit()
    expect(calls).toEqual(['a'])
  })

  it('installs its listener again if somebody has removed all of them', () => {
    const calls: string[] = []
    const copy = newCopy()
    const audit = { drainAtExit: () => calls.push('drained') > 0, reportAtExit: () => undefined }
    copy.drainAtExit(audit)
    for (const listener of own()) process.off('exit', listener)
    copy.drainAtExit(audit)
    emitExit()
    expect(calls).toEqual(['drained'])
  })

  it('drains in turns, and reports only when all are done', () => {
    const calls: string[] = []
    const { drainAtExit } = newCopy()
    let left = 3
    drainAtExit({
      drainAtExit: (sliceMs) => {
        calls.push(`slow ${sliceMs}`)
        return --left === 0
      },
      reportAtExit: () => void calls.push('report'),
    })
    drainAtExit({
      drainAtExit: (sliceMs) => calls.push(`fast ${sliceMs}`) > 0,
      reportAtExit: () => void calls.push('report'),
    })
    emitExit()
    expect(calls).toEqual(['slow 25', 'fast 25', 'slow 50', 'slow 50', 'report', 'report'])
  })
})
