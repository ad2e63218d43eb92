import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'

const SOURCE = join(__dirname, '../src')

/** The library, as the commands see it. */
const LIBRARY = [
  ...[
    'index',
    'base',
    'format',
    'reader',
    'rotation',
    'runner',
    'policy-file',
    'seal',
    'ship',
    'writer',
  ],
]

/**
 * Who may import from whom, by folder; types count. A folder may always import from itself. The rule
 * for a file is that of the longest prefix of its path.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  format: ['base'],
  toolkit: ['base', 'format'],
  'writer/ring': ['base'],
  'writer/record': ['base', 'format', 'writer/ring'],
  'writer/log': ['base', 'writer/ring'],
  'writer/failure': ['base', 'writer/ring', 'writer/options', 'writer/exit-drain'],
  'writer/drain': ['base', 'format', 'writer/ring', 'writer/record', 'writer/log'],
  'writer/worker': ['base', 'writer/ring', 'writer/log', 'writer/drain'],
  'writer/caller': [
    ...['base', 'format', 'writer/ring', 'writer/record', 'writer/worker', 'writer/failure'],
    ...['writer/options', 'writer/audit-stats', 'writer/exit-drain'],
  ],
  'writer/audit-trail': ['format', 'writer/audit-stats'],
  'writer/audit-stats': ['format', 'writer/ring', 'writer/failure'],
  'writer/options': ['base', 'writer/ring'],
  'writer/run-lease': ['format', 'writer/audit-trail'],
  'writer/policy': ['base'],
  'writer/exit-drain': [],
  'writer/exec-audit': ['base', 'format', 'writer'],
  rotation: ['base'],
  follow: ['base', 'rotation'],
  reader: ['base', 'format', 'rotation'],
  seal: ['base', 'format', 'rotation', 'follow', 'reader'],
  'ship/stream': ['base'],
  'ship/nats': ['base', 'ship/stream'],
  'ship/redis': ['base', 'ship/stream'],
  'ship/open-stream': ['ship'],
  'ship/shipper': ['base', 'follow', 'seal', 'ship/open-stream', 'ship/stream'],
  'ship/newest-checkpoint': ['seal', 'ship/open-stream', 'ship/stream'],
  'ship/index': ['ship'],
  runner: [
    'base',
    'format',
    'writer/audit-trail',
    'writer/run-lease',
    'writer/failure/audit-error',
  ],
  'policy-file': ['base', 'runner', 'writer/policy'],
  metrics: ['base', 'writer/audit-stats', 'writer/ring'],
  testing: ['base', 'format', 'writer'],
  index: ['format', 'writer', 'policy-file', 'reader', 'rotation', 'runner', 'base'],
  build: ['format'],
  'cli/main': ['toolkit', 'cli'],
  'cli/shared': [...LIBRARY, 'toolkit'],
  ...Object.fromEntries(
    readdirSync(join(SOURCE, 'cli'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== 'shared')
      .map(({ name }) => [`cli/${name}`, [...LIBRARY, 'toolkit', 'cli/shared']]),
  ),
}

/** The modules that only the drainer runs: the calling thread loads them when it must drain. */
const DRAINER_SIDE =
  /^(writer\/(drain|log)\/|writer\/record\/decode$|format\/(serialize-line|line-serializers)$)/
/** The modules that only the calling thread runs. */
const CALLER_SIDE = /^writer\/(caller|failure)\/|^writer\/(record\/encode|worker\/worker-host)$/

interface Import {
  readonly module: string
  readonly isTypeOnly: boolean
  /** By a `require` or `import()` of its own, when it runs. */
  readonly isLate: boolean
}

const modules = new Map(
  readdirSync(SOURCE, { encoding: 'utf8', recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => [name.replace(/(\.d)?\.ts$/, ''), importsOf(name)] as const),
)

/** The modules that a file names: by import and export, as a type, and by a require of its own. */
function importsOf(name: string): Import[] {
  const path = join(SOURCE, name)
  const text = readFileSync(path, 'utf8')
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const found: Import[] = []
  const add = (specifier: ts.Node | undefined, isTypeOnly: boolean, isLate = false) => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return
    if (!specifier.text.startsWith('.')) return
    const module = moduleAt(join(dirname(name), specifier.text))
    found.push({ module, isTypeOnly, isLate })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypesOnly(node.importClause))
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, areTypesOnly(node))
    else if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true)
    } else if (ts.isCallExpression(node) && isLoad(node)) add(node.arguments[0], false, true)
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

function isTypesOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const { namedBindings } = clause
  const areAllTypes =
    namedBindings !== undefined &&
    ts.isNamedImports(namedBindings) &&
    namedBindings.elements.every((element) => element.isTypeOnly)
  return clause.name === undefined && areAllTypes
}

function areTypesOnly({ isTypeOnly, exportClause }: ts.ExportDeclaration): boolean {
  if (isTypeOnly || exportClause === undefined) return isTypeOnly
  return ts.isNamedExports(exportClause) && exportClause.elements.every((each) => each.isTypeOnly)
}

/** A module that is loaded late, by `require` or `import()`. */
function isLoad({ expression }: ts.CallExpression): boolean {
  const isRequire = ts.isIdentifier(expression) && expression.text === 'require'
  return isRequire || expression.kind === ts.SyntaxKind.ImportKeyword
}

function moduleAt(path: string): string {
  return ['.ts', '.d.ts'].some((end) => isFile(path + end)) ? path : join(path, 'index')
}

function isFile(name: string): boolean {
  try {
    readFileSync(join(SOURCE, name))
    return true
  } catch {
    return false
  }
}

function isUnder(module: string, folder: string): boolean {
  return module === folder || module.startsWith(`${folder}/`)
}

/** The row of the table that holds for a module. */
function ruleOf(module: string): string | undefined {
  const rows = Object.keys(MAY_IMPORT).filter((row) => isUnder(module, row))
  return rows.sort((a, b) => b.length - a.length)[0]
}

function isAllowed(from: string, to: string): boolean {
  const rule = ruleOf(from)
  if (rule === undefined) return false
  return [rule, ...(MAY_IMPORT[rule] ?? [])].some((folder) => isUnder(to, folder))
}

/** The modules that a module loads when it is loaded itself, all the way down. */
function loadedBy(root: string): Set<string> {
  const seen = new Set<string>()
  const visit = (module: string) => {
    for (const { module: next, isTypeOnly, isLate } of modules.get(module) ?? []) {
      if (isTypeOnly || isLate || seen.has(next)) continue
      seen.add(next)
      visit(next)
    }
  }
  visit(root)
  return seen
}

/** The modules of one circle, if there is one. */
function findCircle(): readonly string[] {
  const done = new Set<string>()
  const path: string[] = []
  const visit = (module: string): readonly string[] => {
    const start = path.indexOf(module)
    if (start >= 0) return [...path.slice(start), module]
    if (done.has(module)) return []
    path.push(module)
    for (const { module: next } of modules.get(module) ?? []) {
      const circle = visit(next)
      if (circle.length > 0) return circle
    }
    path.pop()
    done.add(module)
    return []
  }
  for (const module of modules.keys()) {
    const circle = visit(module)
    if (circle.length > 0) return circle
  }
  return []
}

describe('the import table', () => {
  it('has a row for each module', () => {
    expect([...modules.keys()].filter((module) => ruleOf(module) === undefined)).toEqual([])
  })

  it('has no row without a module', () => {
    const rules = new Set([...modules.keys()].map(ruleOf))
    expect(Object.keys(MAY_IMPORT).filter((row) => !rules.has(row))).toEqual([])
  })

  it('holds, types included', () => {
    const broken = [...modules].flatMap(([from, imports]) =>
      imports
        .filter(({ module: to }) => !isAllowed(from, to))
        .map(({ module: to }) => `${from} imports ${to}`),
    )
    expect(broken).toEqual([])
  })

  it('leaves no circle, types included', () => {
    expect(findCircle()).toEqual([])
  })
})

describe('the two threads', () => {
  it('keep the modules that only the drainer runs out of the calling thread', () => {
    const loaded = loadedBy('index')
    expect(loaded).toContain('writer/worker/caller-drainer')
    expect([...loaded].filter((module) => DRAINER_SIDE.test(module))).toEqual([])
  })

  it('have one place where the calling thread loads the drainer late', () => {
    const loads = [...modules].flatMap(([from, imports]) =>
      imports
        .filter(({ module: to, isLate }) => isLate && DRAINER_SIDE.test(to))
        .map(({ module: to }) => `${from} loads ${to}`),
    )
    expect(loads).toEqual([
      'writer/worker/caller-drainer loads writer/drain/drain-loop',
      'writer/worker/caller-drainer loads writer/log/open-descriptors',
    ])
  })

  it('keep the modules that only the calling thread runs out of the worker', () => {
    const loaded = loadedBy('writer/worker/exec-audit-worker')
    expect(loaded).toContain('writer/log/sink')
    expect([...loaded].filter((module) => CALLER_SIDE.test(module))).toEqual([])
  })
})

describe('the source', () => {
  it('has one file in its root beside its tsconfig', () => {
    const entries = readdirSync(SOURCE, { withFileTypes: true })
    const files = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name)
    expect(files.sort()).toEqual(['index.ts', 'tsconfig.json'])
  })

  it('opens, writes and syncs in writer/log alone, as far as it is the writer', () => {
    const touching = [...modules.keys()].filter((module) => {
      if (!module.startsWith('writer/')) return false
      const text = readFileSync(join(SOURCE, `${module}.ts`), 'utf8')
      return /\b(write|open|mkdir|append|f?chmod|fsync|fdatasync)\w*Sync\b/.test(text)
    })
    expect(touching.filter((module) => !module.startsWith('writer/log/'))).toEqual([])
    expect(touching).toContain('writer/log/sink')
  })

  it('leaves nothing to do, and no way around the types', () => {
    const hasWayAround = /\b(TODO|FIXME|XXX|HACK)\b|\bas (any|unknown as)\b|@ts-ignore|!\.|[^=!]!;$/
    const found = [...modules.keys()].filter((module) => {
      const name = isFile(`${module}.ts`) ? `${module}.ts` : `${module}.d.ts`
      return hasWayAround.test(readFileSync(join(SOURCE, name), 'utf8'))
    })
    expect(found).toEqual([])
  })
})

describe('the tests', () => {
  /** Ways to wait that support/waiting.ts has in its place, and loops that poll. */
  const WAITS =
    /(?<!jest\.)\bset(Timeout|Interval)\b|timers\/promises|Atomics\.wait\b|Promise\(setImmediate|=> setImmediate\(resolve|\bwhile \([^\n]*\)(;| await (pause|turn)\()/

  /** Those in which it is no way to wait for something. */
  const EXCEPTIONS: Readonly<Record<string, string>> = {
    'runner/runner-memory.stress.test.ts': 'looks at the memory of a process in intervals',
    'support/waiting.ts': 'the one place',
    'support/children/path-storm.js': 'stands alone, and lets random times pass',
    'support/children/ring-stress-worker.js': 'waits on the ring, as a drainer does',
    'support/explorer/virtual-loop.ts': 'replaces them',
    'runner/runner-stop.test.ts': 'runs commands that do not end by themselves',
    'soak/soak.ts': 'takes samples',
    'toolkit/early-end.test.ts': 'collects garbage all the time',
    'writer/host-globals.fault.test.ts': 'replaces them',
    'writer/log/growing-tail.fault.test.ts': 'appends all the time',
  }

  it('wait by support/waiting.ts alone', () => {
    const all = readdirSync(__dirname, { encoding: 'utf8', recursive: true })
    const waiting = all
      .filter((name) => /\.[tj]s$/.test(name))
      .filter((name) => WAITS.test(readFileSync(join(__dirname, name), 'utf8')))
    expect(waiting.toSorted()).toEqual(Object.keys(EXCEPTIONS).toSorted())
  })
})
