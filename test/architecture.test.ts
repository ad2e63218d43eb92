import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const SOURCE = join(__dirname, '../src')
const LINES_MAX = 400

/** The stages of the drainer's side: the caller's side knows of their types alone. */
const DRAINER_SIDE = [
  'drain-loop',
  'record-line',
  'decode',
  'serialize',
  'line-serializers',
  'sink',
  'append-stream',
  'torn-tail',
  'log-file',
  'file-trust',
  'journal',
]
/** The stages of the caller's side: the drainer's side knows of their types alone. */
const CALLER_SIDE = [
  'index',
  'exec-audit',
  'audit-writer',
  'encode',
  'string-run',
  'admission',
  'acks',
  'oversize',
  'options',
  'option-checks',
  'policy',
  'failure-reporter',
  'warnings',
  'group-channel',
  'worker-host',
  'worker-pool',
  'worker-trials',
  'stand-in',
]
/** Where the two sides meet: loaded only when the calling thread must drain. */
const MEETING_POINT = 'caller-drain'

const files = readdirSync(SOURCE).filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
/** Those in folders too: the tools, which the library never loads. */
const allFiles = readdirSync(SOURCE, { encoding: 'utf8', recursive: true }).filter((name) =>
  name.endsWith('.ts'),
)
const textOf = (name: string) => readFileSync(join(SOURCE, name), 'utf8')

/** The modules whose code, and not only types, a file loads when it is loaded; by their paths in src. */
function imports(name: string): string[] {
  const statements = textOf(name).matchAll(/^(?:import|export) ([^;'"]*?) from '(\.[^']+)'/gm)
  return [...statements].flatMap(([, clause = '', module = '']) => {
    const isTypesOnly = clause.startsWith('type ') || /^\{\s*(type [^,}]+,?\s*)+\}$/.test(clause)
    return isTypesOnly ? [] : [join(dirname(name), module)]
  })
}

const moduleOf = (name: string) => name.replace(/\.ts$/, '')
const graph = new Map(allFiles.map((name) => [moduleOf(name), imports(name)]))

function reachable(from: string): Set<string> {
  const seen = new Set<string>()
  const visit = (module: string) => {
    for (const next of graph.get(module) ?? []) {
      if (!seen.has(next)) {
        seen.add(next)
        visit(next)
      }
    }
  }
  visit(from)
  return seen
}

describe('the source', () => {
  it('keeps the sink and its like out of what the caller loads', () => {
    const loaded = reachable('index')
    expect([...DRAINER_SIDE, MEETING_POINT].filter((module) => loaded.has(module))).toEqual([])
  })

  it('keeps the API out of what the worker loads', () => {
    const loaded = reachable('exec-audit-worker')
    expect(loaded.has('sink')).toBe(true)
    expect(CALLER_SIDE.filter((module) => loaded.has(module))).toEqual([])
  })

  it('has no import cycle', () => {
    const cyclic = [...graph.keys()].filter((module) => reachable(module).has(module))
    expect(cyclic).toEqual([])
  })

  it('is loaded whole, by the caller, the worker or the build', () => {
    const roots = ['index', 'exec-audit-worker', MEETING_POINT, 'line-schemas']
    const loaded = new Set(roots.flatMap((root) => [root, ...reachable(root)]))
    const typesOnly = ['audit-trail']
    expect(files.map(moduleOf).filter((module) => !loaded.has(module))).toEqual(typesOnly)
  })

  it('touches the log in the sink, its opener, its repair and the note of what is open alone', () => {
    const writers = files.filter((name) =>
      /\b(write|open|mkdir|append|fsync)\w*Sync\b/.test(textOf(name)),
    )
    expect(writers).toEqual(['descriptors.ts', 'log-file.ts', 'sink.ts', 'torn-tail.ts'])
  })

  it('loads none of the tools with the library, nor what only they need', () => {
    const foreign =
      /from '(?:\.\/(?!policy-file|reader|runner)[\w-]+\/[^']+|commander|cli-[^']+|smol-toml)'/
    expect(files.filter((name) => foreign.test(textOf(name)))).toEqual([])
  })

  it.each(allFiles)('%s is no longer than a file should be, and leaves nothing to do', (name) => {
    const text = textOf(name)
    expect(text.split('\n').length).toBeLessThanOrEqual(LINES_MAX)
    expect(text.match(/\b(TODO|FIXME|XXX|HACK)\b/)).toBeNull()
    expect(text.match(/\bas (any|unknown as)\b|@ts-ignore|!\.|[^=!]!;$/)).toBeNull()
  })
})

describe('the tests', () => {
  /** Ways to wait that support/waiting.ts has in its place, and loops that poll. */
  const WAITS =
    /(?<!jest\.)\bset(Timeout|Interval)\b|timers\/promises|Atomics\.wait\b|Promise\(setImmediate|=> setImmediate\(resolve|\bwhile \([^\n]*\)(;| await (pause|turn)\()/

  /** Those in which it is no way to wait for something. */
  const EXCEPTIONS: Readonly<Record<string, string>> = {
    'support/waiting.ts': 'the one place',
    'support/children/path-storm.js': 'stands alone, and lets random times pass',
    'support/children/ring-stress-worker.js': 'waits on the ring, as a drainer does',
    'writer/ring/ring.stress.test.ts': 'waits on the ring, as a caller does',
    'runner/runner-stop.test.ts': 'runs commands that do not end by themselves',
    'soak/soak.ts': 'takes samples',
    'toolkit/early-end.test.ts': 'collects garbage all the time',
  }

  it('wait by support/waiting.ts alone', () => {
    const all = readdirSync(__dirname, { encoding: 'utf8', recursive: true })
    const waiting = all
      .filter((name) => /\.[tj]s$/.test(name))
      .filter((name) => WAITS.test(readFileSync(join(__dirname, name), 'utf8')))
    expect(waiting.toSorted()).toEqual(Object.keys(EXCEPTIONS).toSorted())
  })
})
