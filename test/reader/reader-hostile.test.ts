import { appendFileSync, closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { runChild } from '../support/children/run-child'
import { collect } from '../support/collect'
import { AGENT_ID, MACHINE_ID, REQUEST_ID, startedLine } from '../support/events'
import { useTempDir } from '../support/temp-dir'
import { times } from '../support/times'

const dir = useTempDir()
const path = () => dir.path('exec.log')
const MIB = 2 ** 20

/** A sparse file: zero bytes take no room on the disk. */
function sparse(bytes: number): void {
  const fd = openSync(path(), 'a')
  ftruncateSync(fd, bytes)
  closeSync(fd)
}

describe('readAudit, of a log', () => {
  it('with a line of megabytes is read as an event if it is one, and reported otherwise', async () => {
    const megabytes = times('LINE_MIB', 20, 100)
    const argument = '\\u0000'.repeat((megabytes * MIB) / 6)
    const line = `{"event":"denial","ts_unix_ms":1,"request_id":"${REQUEST_ID}","agent_id":"${AGENT_ID}","machine_id":"${MACHINE_ID}","argv":["${argument}"],"reason":"spawn_failed"}`
    const fd = openSync(path(), 'a')
    for (const text of [
      line,
      '\n',
      line.slice(0, -1),
      '\n',
      '['.repeat(MIB),
      '\n',
      startedLine(1),
    ]) {
      writeSync(fd, text)
    }
    closeSync(fd)
    const { events, problems } = await collect(path())
    expect(events.map(({ event, line, length }) => [event, line, length])).toEqual([
      ['denial', 1, line.length],
      ['started', 4, startedLine(1).length - 1],
    ])
    expect(problems.map(({ kind, line, excerpt }) => [kind, line, excerpt.length])).toEqual([
      ['torn', 2, 120],
      ['foreign', 3, 120],
    ])
  })

  it('that has no newline for long is read in constant memory', async () => {
    const bytes = times('NO_NEWLINE_MIB', 256, 1_024) * MIB
    sparse(bytes)
    appendFileSync(path(), `\n${startedLine(1)}`)
    const script = `
const { readAudit } = require(${JSON.stringify(`${__dirname}/../../dist`)})
void (async () => {
  const onProblem = ({ kind, line, length }) => console.log(kind, line, length)
  for await (const { pid, line } of readAudit(path, { onProblem, maxLineBytes: ${MIB} })) console.log(pid, line)
  // The peak of this program alone; that of resourceUsage() includes its parent's.
  const [, kib] = require('node:fs').readFileSync('/proc/self/status', 'utf8').match(/VmHWM:\\s+(\\d+) kB/)
  console.log(kib < 200 * 1024 || kib)
})()
`
    const { stdout, stderr } = await runChild(script, [path()])
    expect([stdout, stderr]).toEqual([`too-long 1 ${bytes}\n1 2\ntrue\n`, ''])
  })
})
