import { appendFileSync, writeFileSync } from 'node:fs'
import { runCli, startCli } from '../../support/cli'
import { startedLine } from '../../support/events'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

const dir = useTempDir()
const log = () => dir.path('exec.log')

describe('view, of lines that are no events,', () => {
  it('reports them on standard error, escaped, and counts them', async () => {
    writeFileSync(log(), `${startedLine(1)}\x1b[2Jhello\r\n\n{"event":"st`)
    const { code, stdout, stderr } = await runCli(['view', '-o', 'raw', log()])
    const at = startedLine(1).length
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: startedLine(1),
      stderr: `${log()}:2:${at}: foreign: it ends with a carriage return (CRLF): \\x1b[2Jhello\\x0d
${log()}:4:${at + 12}: torn: incomplete: a fragment of an event: {"event":"st
x0x-exec-audit: 2 lines are no events
`,
    })
    const document: { problems: unknown } = JSON.parse(
      (await runCli(['view', '-o', 'json', log()])).stdout,
    )
    expect(document.problems).toMatchObject([
      { line: 2, kind: 'foreign' },
      { line: 4, kind: 'torn' },
    ])
  })

  it('shows the first 20, at their places between the events, and counts all', async () => {
    const broken = (count: number) => '?\n'.repeat(count)
    const texts = [startedLine(1), broken(19), startedLine(2), broken(5), startedLine(3)]
    writeFileSync(log(), texts.join(''))
    const told = (line: number, offset: number) =>
      `${log()}:${line}:${offset}: foreign: it is no JSON: ?\n`
    const [first, second] = [startedLine(1).length, startedLine(2).length]
    const shown = Array.from({ length: 19 }, (_, i) => told(i + 2, first + 2 * i)).join('')
    const sum = `x0x-exec-audit: 24 lines are no events; the first 20 are shown, and more by verify --max-problems 24\n`
    const bothStreams = ['sh', '-c', 'exec "$@" 2>&1', 'sh']
    const expected = [
      ...[startedLine(1), shown, startedLine(2), told(22, first + 38 + second)],
      ...[startedLine(3), sum],
    ].join('')
    const { stdout } = await runCli(['view', '-o', 'raw', log()], '', bothStreams)
    expect(stdout).toBe(expected)
    const last = await runCli(['view', '-o', 'raw', '-n', '3', log()], '', bothStreams)
    expect(last.stdout).toBe(expected)
  })

  it('sums up a flood while it follows', async () => {
    writeFileSync(log(), '')
    const { output } = startCli(['view', '-f', '-o', 'raw', log()])
    appendFileSync(log(), `${'?\n'.repeat(30)}${startedLine(1)}`)
    await until('not all', () => output.stdout === startedLine(1) && output.stderr.includes('more'))
    const lines = output.stderr.trimEnd().split('\n')
    expect([lines.length, lines.at(-1)]).toEqual([
      21,
      'x0x-exec-audit: 10 more lines are no events',
    ])
    appendFileSync(log(), `!\n`)
    await until('no more', () => output.stderr.endsWith(': foreign: it is no JSON: !\n'))
  })
})
