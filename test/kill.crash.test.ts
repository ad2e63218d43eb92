import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { useTempDir } from './helpers/temp-dir'

const KILLS = Number(process.env.KILLS ?? 15)
const DIST = join(__dirname, '../dist')

/** Records events with 64 in flight for ever, and writes the pid of each durable one to its output. */
const SCRIPT = `
const { ExecAudit, ExecDiagnostics } = require(${JSON.stringify(DIST)})
const fs = require('node:fs')
const [path, from] = process.argv.slice(1)
const audit = new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics(), { logger: { warn() {} } })
let pid = Number(from)
const loop = async () => {
  for (;;) {
    const mine = pid++
    if ((await audit.started({ requestId: '00'.repeat(16), pid: mine })) === 'durable') {
      fs.writeSync(1, mine + '\\n')
    }
  }
}
for (let i = 0; i < 64; i++) loop()
`

/** Runs the script, kills it some time after its first acknowledgement; returns what it acknowledged. */
async function ackedUntilKilled(path: string, from: number, afterMs: number): Promise<number[]> {
  const child = spawn(process.execPath, ['-e', SCRIPT, '--', path, String(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8')
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (text) => {
      if (output === '') setTimeout(() => child.kill('SIGKILL'), afterMs)
      output += text
    })
    child.on('close', () => resolve())
  })
  // The last number may be cut by the kill; it was acknowledged only if its newline is there.
  return output.split('\n').slice(0, -1).map(Number)
}

describe('SIGKILL under load', () => {
  const dir = useTempDir()

  it(`loses nothing durable in ${KILLS} kills, and tears one line a kill at most`, async () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
    process.stdout.write(`    seed: SEED=${seed}\n`)
    let state = seed
    const random = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return state / 2 ** 32
    }
    const path = dir.path('exec.log')
    const acked: number[] = []
    for (let kill = 0; kill < KILLS; kill++) {
      const pids = await ackedUntilKilled(path, kill * 1_000_000, random() * 60)
      for (const pid of pids) acked.push(pid)
    }
    const lines = readFileSync(path, 'utf8').split('\n')
    const inFile = new Set<number>()
    let torn = 0
    for (const line of lines) {
      try {
        inFile.add(JSON.parse(line).pid)
      } catch {
        if (line !== '') torn++
      }
    }
    expect(acked.filter((pid) => !inFile.has(pid))).toEqual([])
    expect(acked.length).toBeGreaterThan(KILLS * 50)
    expect(torn).toBeLessThanOrEqual(KILLS)
    process.stdout.write(`    ${acked.length} acknowledged, ${torn} torn lines\n`)
  })
})
