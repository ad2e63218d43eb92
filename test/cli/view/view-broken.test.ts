import { appendFileSync, writeFileSync } from 'node:fs'
import { runCli, startCli } from '../../support/cli'
import { startedLine } from '../../support/events'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

const dir = useTempDir()
const log = () => dir.path('exec.log')

describe('view, of lines that are no events,', () => {
  it('counts them in one line on standard error, and points at verify', async () => {
    writeFileSync(log(), `${startedLine(1)}\x1b[2Jhello\r\n\n{"event":"st`)
    const { code, stdout, stderr } = await runCli(['view', '-o', 'raw', log()])
    const at = startedLine(1).length
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: startedLine(1),
      stderr: `x0x-exec-audit: 2 lines are no events (1 foreign, 1 torn), the first at ${log()}:2:${at}; see x0x-exec-audit verify ${log()}\n`,
    })
    const document: { problems: unknown } = JSON.parse(
      (await runCli(['view', '-o', 'json', log()])).stdout,
    )
    expect(document.problems).toMatchObject([
      { line: 2, kind: 'foreign' },
      { line: 4, kind: 'torn' },
    ])
  })

  it('knows no line if it has read only the end, and names each file once, as a shell takes it', async () => {
    const other = dir.path('a b.log')
    writeFileSync(other, `?\n?\n`)
    writeFileSync(log(), `${startedLine(1)}${startedLine(2)}!\n`)
    const last = await runCli(['view', '-o', 'raw', '-n', '1', log()])
    const at = 2 * startedLine(1).length
    expect(last).toEqual({
      code: 0,
      stdout: startedLine(2),
      stderr: `x0x-exec-audit: 1 line is no event (1 foreign), at ${log()}:?:${at}; see x0x-exec-audit verify ${log()}\n`,
    })
    const both = await runCli(['view', '-o', 'raw', other, log(), '-'], '#\n')
    expect(both.stderr).toBe(
      `x0x-exec-audit: 4 lines are no events (4 foreign), the first at ${other}:1:0; see x0x-exec-audit verify '${other}' ${log()} -\n`,
    )
  })

  it('sums up a flood while it follows', async () => {
    writeFileSync(log(), '')
    const { output } = startCli(['view', '-f', '-o', 'raw', log()])
    appendFileSync(log(), `${'?\n'.repeat(1_030)}${startedLine(1)}`)
    const sum = (lines: string, at: number) =>
      `x0x-exec-audit: ${lines}:${at}; see x0x-exec-audit verify ${log()}\n`
    const flood = sum(`1,030 lines are no events (1,030 foreign), the first at ${log()}:1`, 0)
    await until('not all', () => output.stdout === startedLine(1) && output.stderr === flood)
    appendFileSync(log(), `!\n`)
    const more = sum(
      `1 line is no event (1 foreign), at ${log()}:1032`,
      2_060 + startedLine(1).length,
    )
    await until('no more', () => output.stderr === flood + more)
  })
})
