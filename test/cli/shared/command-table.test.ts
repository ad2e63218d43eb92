import { type CommandLife, CommandTable, isTimedOut } from '../../../src/cli/shared/command-table'
import { Names } from '../../../src/cli/shared/names'
import { parseLine } from '../../../src/format/parse-line'
import { isProblem } from '../../../src/format/records'
import { AGENT_ID } from '../../support/events'
import { lineText } from '../../support/verified'

const id = (n: number) => n.toString(16).padStart(32, '0')
const request = (n: number, fields?: object) => lineText('request', id(n), n, fields)
const exit = (n: number, fields?: object) => lineText('exit', id(n), 1_000 + n, fields)

function taken(table: CommandTable, ...lines: readonly string[]): CommandLife[] {
  return lines.flatMap((text, i) => {
    const record = parseLine(text)
    if (isProblem(record)) throw new Error(record.message)
    return table.take(record, text, { file: 'exec.log', line: i + 1 })
  })
}

const numbers = (lives: readonly CommandLife[]) =>
  lives.map(({ requestId, end }) => `${Number.parseInt(requestId, 16)} ${end?.event ?? 'open'}`)

describe('the table of commands', () => {
  it('gives them in the order of their requests, those without an end last', () => {
    const table = new CommandTable({})
    expect(numbers(taken(table, request(1), request(2), request(3), exit(2)))).toEqual([])
    expect(numbers(taken(table, exit(1)))).toEqual(['1 exit', '2 exit'])
    expect(numbers(table.end())).toEqual(['3 open'])
  })

  it('gives them as they end, if it is asked to', () => {
    const table = new CommandTable({ isOrdered: false })
    expect(numbers(taken(table, request(1), request(2), exit(2), exit(1)))).toEqual([
      '2 exit',
      '1 exit',
    ])
  })

  it('counts a group once that was written twice, and a second use of an id as another command', () => {
    const group = [request(1), lineText('started', id(1), 2), exit(1)]
    const again = [lineText('request', id(1), 5_000), lineText('exit', id(1), 6_000)]
    const table = new CommandTable({})
    expect(numbers(taken(table, ...group, ...group, ...again))).toEqual(['1 exit', '1 exit'])
    expect(table.repeated).toBe(3)
    const reused = new CommandTable({})
    const lives = taken(reused, request(1), lineText('request', id(1), 9), exit(1))
    expect(lives.map(({ isGivenUp, end }) => [isGivenUp, end?.event])).toEqual([
      [true, undefined],
      [false, 'exit'],
    ])
  })

  it('waits for no more than it has room for, and says whose ends it has not waited for', () => {
    const table = new CommandTable({ max: 2 })
    const first = taken(table, request(1), request(2), exit(2), request(3))
    expect(numbers(first)).toEqual(['2 exit'])
    expect(numbers(taken(table, request(4)))).toEqual(['1 open'])
    expect(table.givenUp).toBe(1)
    expect(numbers(table.end())).toEqual(['3 open', '4 open'])
  })

  it('knows a time-out from a kill, and what was asked, with its names', () => {
    const names = new Names([
      [AGENT_ID.toUpperCase(), 'build bot'],
      ['user:a', 'Alice'],
    ])
    const table = new CommandTable({ names })
    const asked = { timeout_ms: 300, context: { principal: 'user:a' } }
    const killed = (ms: number) => ({ code: null, signal: 15, duration_ms: ms })
    const [first, second, third] = taken(
      table,
      ...[request(1, asked), exit(1, killed(300))],
      ...[request(2, asked), exit(2, killed(299))],
      ...[request(3, { timeout_ms: 0 }), exit(3, killed(1_000))],
    )
    expect([first, second, third].map((life) => life !== undefined && isTimedOut(life))).toEqual([
      true,
      false,
      true,
    ])
    expect(first?.asked).toMatchObject({ principalName: 'Alice', agentName: 'build bot' })
    expect(third?.asked).toMatchObject({ principalName: undefined, context: undefined })
  })

  it('keeps 4,096 characters of the arguments', () => {
    const [life] = taken(new CommandTable({}), request(1, { argv: ['x'.repeat(5_000)] }), exit(1))
    expect([life?.asked?.argv[0]?.length, life?.asked?.argvLeft]).toEqual([4_096, 904])
  })
})
