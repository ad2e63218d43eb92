import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DENIAL_REASONS, ExecAudit, idOf } from '../../src'
import { FAILURE_KINDS } from '../../src/writer/failure/failure-counts'
import { noWarnings } from '../../src/writer/failure/warnings'
import { blocksOf, namesIn, runSnippet, tableOf, textOf } from '../support/documents'
import { useTempDir } from '../support/temp-dir'

const ROOT = join(__dirname, '../..')

/** The first column of a table, without its header. */
const firstNames = (document: string, mark: string) =>
  tableOf(document, mark)
    .slice(1)
    .flatMap(([cell]) => namesIn(cell))

describe('docs/api.md', () => {
  const dir = useTempDir()

  it('shows how to record the events by hand', () => {
    const [snippet = '', ...others] = blocksOf('docs/api.md', 'js')
    expect(others).toEqual([])
    expect(runSnippet(dir.path('.'), snippet)).toBe('')
    const written = readFileSync(dir.path('logs/exec.log'), 'utf8').trimEnd().split('\n')
    const events: { event: string }[] = written.map((line) => JSON.parse(line))
    expect(events.map(({ event }) => event)).toEqual(['request', 'started', 'exit'])
  })

  it('lists every member of ExecAudit', () => {
    const listed = firstNames('docs/api.md', 'calls').map((name) => name.replace(/\(.*/, ''))
    const members = Object.getOwnPropertyNames(ExecAudit.prototype)
    expect(listed.toSorted()).toEqual(
      [
        ...members.filter((name) => name !== 'constructor'),
        '[Symbol.asyncDispose]',
        'tasklistId',
      ].toSorted(),
    )
  })
})

describe('docs/identity.md', () => {
  const dir = useTempDir()

  it('shows how to make ids of names, and a context', () => {
    const [snippet = '', ...others] = blocksOf('docs/identity.md', 'js')
    expect(others).toEqual([])
    expect(runSnippet(dir.path('.'), snippet)).toBe('')
    const [line = '', ...rest] = readFileSync(dir.path('logs/exec.log'), 'utf8').split('\n')
    expect(rest).toEqual([''])
    expect(JSON.parse(line)).toMatchObject({
      machine_id: idOf('host:build-7'),
      context: { principal: 'user:alice', session: 's-42', cwd: '/srv/app' },
    })
  })

  it('explains every reason, in the order of the line format', () => {
    const rows = textOf('docs/identity.md').split('## The reason of a denial')[1] ?? ''
    const names = [...rows.matchAll(/^\| `([a-z_]+)`/gm)].map(([, name]) => name)
    expect(names).toEqual([...DENIAL_REASONS])
  })
})

describe('docs/errors.md', () => {
  it('lists every code of AuditError', () => {
    const codes = FAILURE_KINDS.map((kind) =>
      kind === 'full'
        ? 'AUDIT_RING_FULL'
        : `AUDIT_${kind.toUpperCase()}${kind === 'closed' ? '' : '_FAILED'}`,
    )
    expect(firstNames('docs/errors.md', 'errors').toSorted()).toEqual(codes.toSorted())
  })

  it('lists every code of a warning', () => {
    const codes = Object.keys(noWarnings())
    expect(firstNames('docs/errors.md', 'warnings').toSorted()).toEqual(codes.toSorted())
  })
})

describe('docs/guarantees.md', () => {
  it('lists the fields of each event, as they stand in the lines', () => {
    const golden = readFileSync(join(ROOT, 'test/fixtures/exec-audit.jsonl'), 'utf8')
    const lines = golden
      .trimEnd()
      .split('\n')
      .map((call): { event: string } => {
        const { line }: { line: string } = JSON.parse(call)
        return JSON.parse(line)
      })
    const common = ['event', 'ts_unix_ms', 'request_id']
    const written = lines.map((line) => [line.event, ...Object.keys(line)].join(' '))
    const listed = tableOf('docs/guarantees.md', 'fields')
      .slice(1)
      .map(([event, fields]) => [event, ...common, ...namesIn(fields)].join(' '))
    expect(listed.toSorted()).toEqual([...new Set(written)].toSorted())
  })
})

describe('docs/performance.md', () => {
  it('has every figure of the README', () => {
    const figures = tableOf('README.md', 'speed')
      .slice(1)
      .flatMap(([, ...cells]) => cells)
      .flatMap((cell) => /^[\d,.]+/.exec(cell) ?? [])
    const page = textOf('docs/performance.md')
    expect(figures.length).toBeGreaterThan(10)
    expect(figures.filter((figure) => !page.includes(` ${figure} `))).toEqual([])
  })
})
