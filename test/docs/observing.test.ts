import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { registerPrometheus } from '../../src/metrics'
import { blocksOf, runSnippet, textOf } from '../support/documents'
import { openAudit } from '../support/open-audit'
import { useTempDir } from '../support/temp-dir'

const ROOT = join(__dirname, '../..')
const DOCUMENT = 'docs/observing.md'
const README = textOf(DOCUMENT)

/** Records one event, shows a metric where there is a server to ask, and ends. */
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

describe('the README of the metrics', () => {
  const dir = useTempDir()

  it('has snippets that run as they stand', () => {
    mkdirSync(dir.path('node_modules'))
    for (const name of ['prom-client', '@opentelemetry']) {
      symlinkSync(join(ROOT, 'node_modules', name), dir.path(`node_modules/${name}`))
    }
    const told = blocksOf(DOCUMENT, 'js').map((snippet) => {
      // A port that is free, in place of the one that everybody uses.
      const onAnyPort = snippet.replace(
        'server.listen(9464)',
        'await new Promise((done) => server.listen(0, done))',
      )
      return runSnippet(dir.path('.'), onAnyPort + USE)
    })
    expect(told).toEqual(['exec_audit_groups_total{audit="gateway"} 1\ndone\n', 'done\n'])
  })

  it('lists every metric, and none that there is not', () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const registry = new Registry()
    registerPrometheus(audit, { registry })
    const names = registry.getMetricsAsArray().map(({ name }) => name)
    const listed = [...README.matchAll(/^\| `(exec_audit_\w+)`/gm)].map(([, name = '']) => name)
    expect(listed.toSorted()).toEqual(names.toSorted())
    const asked = [...README.matchAll(/\b(exec_audit_\w+?)(?:_bucket)?\b/g)].map(
      ([, name = '']) => name,
    )
    expect(asked.filter((name) => name !== 'exec_audit_' && !names.includes(name))).toEqual([])
  })
})
