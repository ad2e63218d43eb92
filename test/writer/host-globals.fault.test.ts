import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import ts from 'typescript'
import { readAudit } from '../../src'
import { runChild } from '../support/children/run-child'
import { startedEvent, startedLine, startedLines } from '../support/events'
import { openAudit } from '../support/open-audit'
import { useTempDir } from '../support/temp-dir'

/** Globals that a host may lack, have of another kind, or replace by fake ones. */
const HOST_GLOBALS = [
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'performance'],
  ...['clearTimeout', 'clearInterval', 'clearImmediate'],
]

/** As an environment has them, before the package is loaded. */
const ENVIRONMENTS: Readonly<Record<string, string>> = {
  'as jsdom has them': `
    delete globalThis.setImmediate
    delete globalThis.clearImmediate
    const timeout = setTimeout
    globalThis.setTimeout = (...args) => Number(timeout(...args))
    globalThis.setInterval = () => 1`,
  'all of them stopped': `
    for (const name of ${JSON.stringify(HOST_GLOBALS)}) {
      Object.defineProperty(globalThis, name, { configurable: true, writable: true, value: () => 1 })
    }
    globalThis.performance = { now: () => 0 }
    process.nextTick = () => {}`,
}

/** What brings every timer of the writer into play: a wait, a blocking drain, a dead file, a notice. */
const SCRIPT = `
  const said = []
  const logger = { warn: ({ code }) => said.push(code) }
  const audit = open({ logger, fsync: { maxDelayMs: 1 } })
  const lost = open({ logger, workerFile: '/no/such/worker.js' })
  const main = async () => {
    const outcomes = [await audit.started({ requestId, pid: 0 })]
    outcomes.push(audit.started({ requestId, pid: 1 }))
    const isDrained = audit.drainSync(5_000)
    outcomes.push(lost.started({ requestId, pid: 2 }))
    console.log(isDrained, ...(await Promise.all(outcomes)), ...said)
    await audit.close()
    await lost.close()
    console.log('closed')
  }
  main()`

const SOURCE = join(__dirname, '../../src')

/** The globals of {@link HOST_GLOBALS} that a file names without an import of its own. */
function globalsOf(name: string): string[] {
  const text = readFileSync(join(SOURCE, name), 'utf8')
  const file = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true)
  const imported = new Set<string>()
  const used = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (ts.isImportSpecifier(node)) {
      imported.add(node.name.text)
      return
    }
    const isProperty = ts.isPropertyAccessExpression(node.parent) && node.parent.name === node
    if (ts.isIdentifier(node) && !isProperty && HOST_GLOBALS.includes(node.text))
      used.add(node.text)
    ts.forEachChild(node, visit)
  }
  ts.forEachChild(file, visit)
  return [...used].filter((each) => !imported.has(each)).map((each) => `${name}: ${each}`)
}

describe('the globals of the host', () => {
  const dir = useTempDir()

  it.each(Object.entries(ENVIRONMENTS))('may be %s', async (_, environment) => {
    const path = dir.path('exec.log')
    const { code, stdout, stderr } = await runChild(SCRIPT, [path], [], `{${environment}};`)
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'true durable durable durable AUDIT_WORKER_LOST\nclosed\n',
      stderr: '',
    })
    expect(readFileSync(path, 'utf8')).toBe(startedLines(3))
  })

  it('may be replaced by fake ones while an audit is open', async () => {
    jest.useFakeTimers()
    try {
      const { audit } = openAudit(dir.path('exec.log'))
      expect(await audit.started(startedEvent())).toBe('durable')
      await audit.close()
    } finally {
      jest.useRealTimers()
    }
  })

  it('are named by no file of the library: base/timers has them, as they are at load', () => {
    const files = readdirSync(SOURCE, { encoding: 'utf8', recursive: true })
    const library =
      /^(base|writer|reader|runner|format|metrics|rotation|testing|policy-file)\/.*\.ts$/
    const found = files
      .filter((name) => library.test(name) && name !== 'base/timers.ts')
      .flatMap(globalsOf)
    expect(found).toEqual([])
  })
})

describe('a test file under jest', () => {
  const dir = useTempDir()

  it('may end at once after an event: nothing is loaded for it later', () => {
    const script = `
      const { ExecAudit, ExecDiagnostics } = require(${JSON.stringify(join(__dirname, '../../dist'))})
      test('records', () => {
        const policy = { enabled: true, auditLogPath: ${JSON.stringify(dir.path('exec.log'))} }
        const audit = new ExecAudit(policy, new ExecDiagnostics())
        void audit.started({ requestId: '${'ab'.repeat(16)}', pid: 0 })
      })`
    writeFileSync(dir.path('records.test.js'), script)
    writeFileSync(dir.path('other.test.js'), `test('passes', () => undefined)`)
    writeFileSync(dir.path('jest.config.js'), 'module.exports = { transform: {} }')
    const jest = join(__dirname, '../../node_modules/jest/bin/jest.js')
    const command = [jest, '--runInBand', '--rootDir', dir.path('.')]
    const { status, stderr } = spawnSync(process.execPath, command, {
      cwd: dir.path('.'),
      encoding: 'utf8',
    })
    expect(stderr).not.toContain('Error')
    expect(status).toBe(0)
  })
})

describe('values of another realm', () => {
  const dir = useTempDir()
  const realm = createContext({ text: `${startedLine(0)}` })

  it('are taken as ids, and as bytes of a log', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const id: unknown = runInContext('new Uint8Array(16)', realm)
    expect(await Reflect.apply(audit.started, audit, [{ requestId: id, pid: 1 }])).toBe('durable')
    const source = async function* () {
      yield runInContext('Uint8Array.from([...text].map((c) => c.charCodeAt(0)))', realm)
    }
    const events = []
    for await (const event of readAudit(source())) events.push(event)
    expect(events).toMatchObject([{ event: 'started', pid: 0 }])
  })

  it('are taken as the URL of a file', async () => {
    const path = dir.path('exec.log')
    const url = { href: 'file:///no/such/worker.js', protocol: 'file:', constructor: Object }
    const { audit, warned } = openAudit(path, Object.fromEntries([['workerFile', url]]))
    expect(await audit.started(startedEvent({ pid: 0 }))).toBe('durable')
    expect(warned[0]?.message).toContain('/no/such/worker.js')
  })
})
