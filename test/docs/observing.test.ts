import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { registerPrometheus } from '../../src/metrics'
import { blocksOf, namesIn, runSnippet, tableOf, textOf } from '../support/documents'
import { openAudit } from '../support/open-audit'
import { useTempDir } from '../support/temp-dir'

const ROOT = join(__dirname, '../..')
const DOCUMENT = 'docs/observing.md'

/** Opens an audit that keeps quiet about failures. */
const OPEN = `
import { ExecAudit, ExecDiagnostics } from 'x0x-exec-audit'
const EVENT = { requestId: '00'.repeat(16), pid: 1 }
const open = (auditLogPath) =>
  new ExecAudit({ enabled: true, auditLogPath }, new ExecDiagnostics(), { logger: { warn() {} } })
`

/** Records one event, prints a metric if there is a server to ask, and ends. */
const USE = `
await audit.started({ requestId: '00'.repeat(16), pid: 1 })
if (typeof server === 'object') {
  const response = await fetch('http://127.0.0.1:' + server.address().port)
  console.log(/^exec_audit_groups_total.*/m.exec(await response.text())[0])
  server.close()
}
unregister()
await audit.close()
console.log('done')
`

describe('docs/observing.md', () => {
  const dir = useTempDir()

  const [health = '', watch = '', ...metrics] = blocksOf(DOCUMENT, 'js')

  it('tells a healthy audit from one whose events fail', () => {
    const use = `${OPEN}
for (const path of ['a.log', '/proc/no-log-can-be-here/exec.log']) {
  const audit = open(path)
  await audit.started(EVENT)
  const { ok, state, isStalled, isFailing, worker } = health(audit)
  console.log(ok, state, isStalled, isFailing, worker.drainer)
  await audit.close()
  console.log(health(audit).ok)
}`
    const told = 'true open false false worker\nfalse\ntrue open false true worker\nfalse\n'
    expect(runSnippet(dir.path('.'), health + use)).toBe(told)
  })

  it('watches the groups', () => {
    const use = `${OPEN}
const audit = open('a.log')
console.warn = (text) => console.log(text)
await audit.started(EVENT)
await audit.close()`
    // No sync is as slow as what it looks for.
    const text = runSnippet(dir.path('.'), watch.replace('50e6', '0') + use)
    const bytes = readFileSync(dir.path('a.log')).length
    expect(text).toMatch(new RegExp(`/a\\.log: 1 events, ${bytes} bytes: durable\n$`))
  })

  it('has metrics snippets that run as they stand', () => {
    mkdirSync(dir.path('node_modules'))
    for (const name of ['prom-client', '@opentelemetry']) {
      symlinkSync(join(ROOT, 'node_modules', name), dir.path(`node_modules/${name}`))
    }
    const told = metrics.map((snippet) => {
      // A free port, in place of the usual one.
      const onAnyPort = snippet.replace(
        'server.listen(9464)',
        'await new Promise((done) => server.listen(0, done))',
      )
      return runSnippet(dir.path('.'), onAnyPort + USE)
    })
    expect(told).toEqual(['exec_audit_groups_total{audit="gateway"} 1\ndone\n', 'done\n'])
  })

  it('lists every metric, and no other', () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const registry = new Registry()
    registerPrometheus(audit, { registry })
    const names = registry.getMetricsAsArray().map(({ name }) => name)
    const listed = tableOf(DOCUMENT, 'metrics')
      .slice(1)
      .flatMap(([cell]) => namesIn(cell))
    expect(listed.toSorted()).toEqual(names.toSorted())
    const asked = [...textOf(DOCUMENT).matchAll(/\b(exec_audit_\w+?)(?:_bucket)?\b/g)].map(
      ([, name = '']) => name,
    )
    expect(asked.filter((name) => name !== 'exec_audit_' && !names.includes(name))).toEqual([])
  })
})
