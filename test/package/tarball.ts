import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { expectSame, ROOT, run } from './project'

const PAPERS = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']
/** What is for the project alone, though it is compiled, and what is bundled. */
const KEPT_BACK = ['build', 'toolkit']
/** The command line is bundled, and nobody imports it. */
const CLI = 'dist/cli/'
const COMMAND_LINE = ['main.js', 'examiner.js', 'pacer-worker.js', 'THIRD-PARTY-LICENSES.txt']
const DIST_FILE = /^dist\/(?:([a-z-]+)\/)?(?:[a-z-]+\/)*[a-z0-9-]+\.(?:js|d\.ts)$/
const DOCUMENT = /^docs\/[\w/-]+\.md$/
const EXAMPLE = /^docs\/examples\/[a-z-]+\.ts$/
const SHIPPING_FILE =
  /^docs\/(?:seal|ship|shipping|plots)\/[\w-]+\.(conf|json|service|svg|toml|yaml)$/
const UNPACKED_BYTES_MAX = 2_400_000

interface Packed {
  readonly filename: string
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

/** Packs the package, and looks at what is in the tarball; returns its path. */
export function pack(into: string): string {
  const text = run(ROOT, 'npm', 'pack', '--json', '--silent', '--pack-destination', into)
  const listed: readonly Packed[] = JSON.parse(text)
  const packed = listed[0]
  if (packed === undefined) throw new Error('npm pack made nothing')
  const stray = packed.files.map(({ path }) => path).filter((path) => !isAllowed(path))
  expectSame('the tarball holds only what a user needs', stray, [])
  const paths = packed.files.map(({ path }) => path)
  expectSame('its documents link to nothing that it lacks', brokenLinks(paths), [])
  const isSmall = packed.unpackedSize <= UNPACKED_BYTES_MAX
  expectSame(`its size is bounded (${packed.unpackedSize} bytes)`, isSmall, true)
  return join(into, packed.filename)
}

/** The links of packed documents to files that are not packed, as DOCUMENT -> LINK. */
function brokenLinks(paths: readonly string[]): string[] {
  const documents = paths.filter((path) => path.endsWith('.md'))
  return documents.flatMap((document) => {
    const text = readFileSync(join(ROOT, document), 'utf8').replace(/^```[\s\S]*?^```$/gm, '')
    const links = [...text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(([, link = '']) => link)
    return links
      .filter((link) => !link.startsWith('https://'))
      .filter((link) => !paths.includes(normalize(join(dirname(document), link))))
      .map((link) => `${document} -> ${link}`)
  })
}

/** The tarball holds what runs, the types of what can be imported, documents, what ships logs. */
function isAllowed(path: string): boolean {
  if (PAPERS.includes(path) || DOCUMENT.test(path) || SHIPPING_FILE.test(path)) return true
  if (EXAMPLE.test(path)) return path !== 'docs/examples/start.ts'
  if (path.startsWith(CLI)) return COMMAND_LINE.includes(path.slice(CLI.length))
  const [file, folder = ''] = DIST_FILE.exec(path) ?? []
  return file !== undefined && !KEPT_BACK.includes(folder)
}

/** Asks publint and are-the-types-wrong. */
export async function lint(tarball: string): Promise<void> {
  const { messages, pkg } = await publint({ pkgDir: ROOT, strict: true })
  const problems = messages.map((message) => formatMessage(message, pkg, { color: false }))
  expectSame('publint has nothing to say', problems, [])
  const analysed = await checkPackage(
    createPackageFromTarballData(new Uint8Array(readFileSync(tarball))),
  )
  if (!analysed.types) throw new Error('are-the-types-wrong finds no types')
  expectSame('are-the-types-wrong has nothing to say', analysed.problems, [])
}
