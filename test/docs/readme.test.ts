import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCli } from '../support/cli'
import { blocksOf, DOCUMENTS, namesIn, runSnippet, tableOf, textOf } from '../support/documents'
import { useTempDir } from '../support/temp-dir'

const ROOT = join(__dirname, '../..')
const README_LINES_MAX = 170
const WRITER = 'src/writer'

/** A line without its time and ids, which differ from run to run or are shortened. */
function shapeOf(line: string): string {
  return line
    .replace(/"ts_unix_ms":\d+/, '"ts_unix_ms":T')
    .replace(/"(\w+_id)":"[0-9a-f…]+"/g, '"$1":ID')
    .replace(/"(pid|duration_ms)":\d+/, '"$1":N')
}

/** A row of view, likewise. */
function rowShapeOf(row: string): string {
  return row
    .replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}( {2}\w+ +)[0-9a-f]{8}/, 'TIME$1ID')
    .replace(/pid \d+/, 'pid N')
    .replace(/after [\d.]+ m?s/, 'after N')
}

describe('the README', () => {
  const dir = useTempDir()

  it('has a snippet that runs as it stands and writes the lines it shows', () => {
    const [snippet = '', ...others] = blocksOf('README.md', 'js')
    expect(others).toEqual([])
    const [lines = ''] = blocksOf('README.md', 'json')
    expect(runSnippet(dir.path('.'), snippet)).toBe('0 hello\n\n')
    const written = readFileSync(dir.path('logs/exec.log'), 'utf8')
    expect(written.split('\n').map(shapeOf)).toEqual(lines.split('\n').map(shapeOf))
  })

  it('shows the lines to an operator as view does', async () => {
    const [snippet = ''] = blocksOf('README.md', 'js')
    runSnippet(dir.path('.'), snippet)
    const { stdout } = await runCli(['view', dir.path('logs/exec.log')])
    const [shown = ''] = blocksOf('README.md', 'text')
    const rows = shown.split('\n').slice(1)
    expect(rows.map(rowShapeOf)).toEqual(stdout.split('\n').map(rowShapeOf))
  })

  it('is short', () => {
    expect(textOf('README.md').split('\n').length - 1).toBeLessThanOrEqual(README_LINES_MAX)
  })
})

describe('the manual', () => {
  const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'))

  it('is indexed, page by page, in docs/README.md and in the README', () => {
    const others = pages.filter((name) => name !== 'README.md')
    const [index, readme] = [textOf('docs/README.md'), textOf('README.md')]
    expect(others.filter((name) => !index.includes(`](${name})`))).toEqual([])
    expect(others.filter((name) => !readme.includes(`](docs/${name})`))).toEqual([])
  })
})

describe('the documents', () => {
  it('name only scripts that exist', () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    )
    const named = DOCUMENTS.flatMap((document) =>
      [...textOf(document).matchAll(/npm run ([a-z:]+)/g)].map(([, name = '']) => name),
    )
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([])
    expect(named.length).toBeGreaterThan(10)
  })

  it('record fail-closed in every example, but for the one that shows both modes', () => {
    const made = DOCUMENTS.filter((document) => !document.startsWith('docs/api/'))
      .flatMap((document) => blocksOf(document, 'js'))
      .flatMap((snippet) => snippet.match(/new ExecAudit\(.*/g) ?? [])
    const open = made.filter((call) => !call.includes("failureMode: 'closed'"))
    expect(open).toEqual(['new ExecAudit(policy, new ExecDiagnostics(), { failureMode, logger })'])
    expect(made.length).toBeGreaterThan(5)
  })

  it.each(['CONTRIBUTING.md', 'docs/shipping.md'])('%s names only files that exist', (document) => {
    const paths = namesIn(textOf(document)).filter((name) =>
      /^(?:src|test|docs|bench)\/[\w./-]+$/.test(name),
    )
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })
})

describe('src/writer/README.md', () => {
  it('lists every file of the writer, and none that does not exist', () => {
    const listed = tableOf(`${WRITER}/README.md`, 'files')
      .slice(1)
      .flatMap(([cell]) => namesIn(cell))
    const files = readdirSync(join(ROOT, WRITER), { encoding: 'utf8', recursive: true })
    expect(listed.toSorted()).toEqual(files.filter((name) => name.endsWith('.ts')).toSorted())
  })

  it('says of every file which thread runs it', () => {
    const threads = tableOf(`${WRITER}/README.md`, 'files')
      .slice(1)
      .map(([, thread]) => thread)
    expect(new Set(threads)).toEqual(new Set(['caller', 'worker', 'both']))
  })
})
