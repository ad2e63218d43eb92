import { closeSync, openSync, writeFileSync } from 'node:fs'
import { startedLine } from '../support/events'
import { useTempDir } from '../support/temp-dir'
import { type Excuse, LineCheck } from './line-check'

const temp = useTempDir()

/** A file's pids, and what it excuses in the files after it. */
type LogFile = readonly [pids: readonly number[], excuse?: Excuse]

function checkFiles(...files: readonly LogFile[]): LineCheck {
  const check = new LineCheck()
  for (const [at, [pids, excuse]] of files.entries()) {
    const path = temp.path(`${at}`)
    writeFileSync(path, pids.map(startedLine).join(''))
    const fd = openSync(path, 'r')
    check.read(fd, `file ${at}`, excuse)
    closeSync(fd)
  }
  return check
}

const cutOff = (mayBeginBefore: number): Excuse => ({ mayRepeat: false, mayBeginBefore })

it('finds what is missing at the end', () => {
  const check = checkFiles([[0, 1]])
  check.end(3)
  expect(check.problems).toEqual(['the files end before event 2 of 3'])
})

it('finds what is missing between two files', () => {
  const check = checkFiles([[0]], [[2]])
  check.end(3)
  const found = startedLine(2).trimEnd()
  expect(check.problems).toEqual([`file 1: event 1 was expected, found '${found}'`])
})

const LINE_3: LogFile = [[3]]
const EMPTY: LogFile = [[]]

it.each([
  ['the next file begins with the line after them', [LINE_3]],
  ['the next file is empty, and the one after it begins so', [EMPTY, LINE_3]],
])('excuses lines that were cut off when %s', (_, rest) => {
  const check = checkFiles([[0], cutOff(3)], ...rest)
  check.end(4)
  expect([check.problems, check.excused]).toEqual([[], 2])
})

it.each([
  ['there is no further file', []],
  ['the last file is empty', [EMPTY]],
])('excuses the last lines when they were cut off and %s', (_, rest) => {
  const check = checkFiles([[0], cutOff(3)], ...rest)
  check.end(3)
  expect([check.problems, check.excused]).toEqual([[], 2])
})

it('excuses no event that was recorded after the cut', () => {
  const check = checkFiles([[0], cutOff(3)])
  check.end(4)
  expect(check.problems).toEqual(['the files end before event 1 of 4'])
})

it('lets a file begin with lines of the one that was deleted', () => {
  const check = checkFiles([[0, 1], { mayRepeat: true, mayBeginBefore: 0 }], [[1, 2]])
  check.end(3)
  expect([check.problems, check.repeated]).toEqual([[], 1])
})
