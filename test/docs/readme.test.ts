import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkOptions } from '../../src/writer/options'
import { blocksOf, runSnippet, textOf } from '../support/documents'
import { useTempDir } from '../support/temp-dir'

const ROOT = join(__dirname, '../..')
const README = textOf('README.md')

/** A line with the time and ids taken out, which differ from run to run or are shortened. */
function shapeOf(line: string): string {
  return line
    .replace(/"ts_unix_ms":\d+/, '"ts_unix_ms":T')
    .replace(/"(\w+_id)":"[0-9a-f…]+"/g, '"$1":ID')
    .replace(/"(pid|duration_ms)":\d+/, '"$1":N')
}

describe('the README', () => {
  const dir = useTempDir()

  it('has a snippet that runs as it stands and writes the lines it shows', () => {
    const [snippet = ''] = blocksOf('README.md', 'js')
    const [lines = ''] = blocksOf('README.md', 'json')
    expect(runSnippet(dir.path('.'), snippet)).toBe('0 hello\n\n')
    const written = readFileSync(dir.path('logs/exec.log'), 'utf8')
    expect(written.split('\n').map(shapeOf)).toEqual(lines.split('\n').map(shapeOf))
  })

  it('shows how to record the events oneself', () => {
    const snippets = blocksOf('README.md', 'js')
    const snippet = snippets.find((text) => text.includes('audit.exit(')) ?? ''
    expect(runSnippet(dir.path('.'), snippet)).toBe('')
    const written = readFileSync(dir.path('logs/exec.log'), 'utf8').trimEnd().split('\n')
    const events: { event: string }[] = written.map((line) => JSON.parse(line))
    expect(events.map(({ event }) => event)).toEqual(['request', 'started', 'exit'])
  })

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
    const section = README.slice(README.indexOf('### What the lines say'))
    const rows = [...section.matchAll(/^\| (request|started|warning|exit|denial) +\| (.*) \|$/gm)]
    const listed = rows.map(([, event = '', fields = '']) => {
      const names = [...fields.matchAll(/`(\w+)`/g)].map(([, name]) => name)
      return [event, ...common, ...names].join(' ')
    })
    expect(listed.toSorted()).toEqual([...new Set(written)].toSorted())
  })

  it('lists every option', () => {
    const { fsync, ...others } = checkOptions({})
    const names = [...Object.keys(others), ...Object.keys(fsync).map((name) => `fsync.${name}`)]
    const table = README.slice(README.indexOf('### Options'), README.indexOf('Unknown options'))
    expect(names.filter((name) => !table.includes(`\`${name}\``))).toEqual([])
  })

  it('names only scripts that exist', () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    )
    const named = [...README.matchAll(/npm run ([a-z:]+)/g)].map(([, name = '']) => name)
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([])
    expect(named.length).toBeGreaterThan(5)
  })

  it('shows only pictures that exist', () => {
    const shown = [...README.matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)].map(([, file = '']) => file)
    expect(shown.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
    expect(shown.length).toBeGreaterThan(0)
  })

  it('names only files that exist in its way of the data', () => {
    const section = README.slice(README.indexOf('## The way'), README.indexOf('## Development'))
    const named = [...section.matchAll(/`([a-z-]+\.ts)`/g)].map(([, name = '']) => name)
    expect(named.filter((name) => !existsSync(join(ROOT, 'src', name)))).toEqual([])
    expect(named.length).toBeGreaterThan(15)
  })
})
