import { createReadStream, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { runChild } from '../support/children/run-child'
import { AGENT_ID, MACHINE_ID } from '../support/events'
import { drawSeed } from '../support/seed'
import { useTempDir } from '../support/temp-dir'
import { times } from '../support/times'

const PROCESSES = 4
const WRITERS = PROCESSES * 2
/** Per writer. */
const EVENTS = times('EVENTS', 3_000, 50_000)
/** Lines of nearly a mebibyte per writer. */
const BIG_LINES = times('BIG_LINES', 2, 12)
const SEED = drawSeed()

/** How many characters the writer adds to the event with this number; -1 for a `started` event. */
function fillOf(writer: number, event: number, seed: number, bigEach: number): number {
  if (event % bigEach === bigEach - 1) return 1_048_000
  const random = Math.imul(event * 8 + writer + seed, 2_654_435_761) >>> 4
  return (random % 1_200) - 600 < 0 ? -1 : random % 600
}

const BIG_EACH = Math.floor(EVENTS / BIG_LINES)

/** Two ExecAudits on one path, each with 64 events in flight. */
const SCRIPT = `
${fillOf.toString()}
const numbers = process.argv.slice(2).map(Number)
const [first, events, seed, bigEach] = numbers
const logger = { warn: (_, message) => process.stderr.write(message + '\\n') }
const id = (writer, event) => writer.toString(16).padStart(16, '0') + event.toString(16).padStart(16, '0')
const [agentId, machineId] = ['${AGENT_ID}', '${MACHINE_ID}']
const write = async (writer) => {
  const audit = open({ logger })
  let next = 0
  let durable = 0
  const record = (event) => {
    const requestId = id(writer, event)
    const fill = fillOf(writer, event, seed, bigEach)
    if (fill < 0) return audit.started({ requestId, pid: event })
    const argv = [String(event), String(event % 10).repeat(fill)]
    return audit.denial({ requestId, agentId, machineId, argv, reason: 'argv_not_allowed' })
  }
  const loop = async () => {
    while (next < events) if ((await record(next++)) === 'durable') durable++
  }
  await Promise.all(Array.from({ length: 64 }, loop))
  await audit.close()
  return durable
}
Promise.all([write(first), write(first + 1)]).then((durable) => console.log(JSON.stringify(durable)))
`

function lineOf(writer: number, event: number): string {
  const hex = (n: number) => n.toString(16).padStart(16, '0')
  const requestId = hex(writer) + hex(event)
  const fill = fillOf(writer, event, SEED, BIG_EACH)
  if (fill < 0) {
    return `{"event":"started","ts_unix_ms":0,"request_id":"${requestId}","pid":${event}}`
  }
  const argv = JSON.stringify([String(event), String(event % 10).repeat(fill)])
  return `{"event":"denial","ts_unix_ms":0,"request_id":"${requestId}","agent_id":"${AGENT_ID}","machine_id":"${MACHINE_ID}","argv":${argv},"reason":"argv_not_allowed"}`
}

/** Lines that are not their writer's next one, and the number of lines found per writer. */
async function check(path: string): Promise<{ wrong: string[]; found: number[] }> {
  const found = new Array<number>(WRITERS).fill(0)
  const wrong: string[] = []
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const writer = Number.parseInt(/"request_id":"(\w{16})/.exec(line)?.[1] ?? '', 16)
    const event = found[writer] ?? -1
    if (event >= 0 && line === lineOf(writer, event)) found[writer] = event + 1
    else wrong.push(line.slice(0, 200))
  }
  return { wrong, found }
}

describe('several writers on one path', () => {
  const dir = useTempDir()

  it(`${PROCESSES} processes with two each: ${EVENTS} whole lines of each, in order (SEED=${SEED})`, async () => {
    const path = dir.path('exec.log')
    const ends = await Promise.all(
      Array.from({ length: PROCESSES }, (_, i) =>
        runChild(SCRIPT, [path, ...[i * 2, EVENTS, SEED, BIG_EACH].map(String)]),
      ),
    )
    for (const { code, stdout, stderr } of ends) {
      const expected = `[${EVENTS},${EVENTS}]\n`
      expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: expected, stderr: '' })
    }
    const { wrong, found } = await check(path)
    expect(wrong).toEqual([])
    expect(found).toEqual(new Array(WRITERS).fill(EVENTS))
    process.stdout.write(`    ${WRITERS * EVENTS} lines, ${statSync(path).size} bytes\n`)
  }, 300_000)
})
