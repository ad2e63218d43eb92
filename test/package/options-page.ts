import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

/*
 * The list of options in docs/options.md, made from the docstrings of src/writer/options.ts: what stands
 * between the two marks of the page.
 */

const ROOT = join(__dirname, '../..')
const SOURCE = join(ROOT, 'src/writer/options.ts')
export const OPTIONS_PAGE = join(ROOT, 'docs/options.md')
const BEGIN = '<!-- options -->'
const END = '<!-- /options -->'

/** The page as the docstrings want it now. Throws if it has no marks. */
export function makeOptionsPage(page: string): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin === -1 || end < begin) throw new Error(`docs/options.md has no ${BEGIN} ... ${END}`)
  return `${page.slice(0, begin + BEGIN.length)}\n\n${optionList()}\n${page.slice(end)}`
}

/** Each option with its type and its docstring, and those of `fsync` under their full names. */
function optionList(): string {
  const source = ts.createSourceFile(
    SOURCE,
    readFileSync(SOURCE, 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  )
  const fsync = sectionsOf(source, 'FsyncOptions', 'fsync.')
  const sections = sectionsOf(source, 'ExecAuditOptions', '')
  return sections
    .flatMap(({ name, text }) => (name === 'fsync' ? fsync : [{ text }]))
    .map(({ text }) => text)
    .join('\n')
}

function sectionsOf(source: ts.SourceFile, interfaceName: string, prefix: string) {
  const found = source.statements.find(
    (statement): statement is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(statement) && statement.name.text === interfaceName,
  )
  if (found === undefined) throw new Error(`${SOURCE} has no interface ${interfaceName}`)
  return found.members.filter(ts.isPropertySignature).map((member) => {
    const name = member.name.getText(source)
    const type = member.type?.getText(source).replace(' | undefined', '') ?? ''
    return { name, text: `## ${prefix}${name}\n\n${linkedType(type)}\n\n${docstringOf(member)}\n` }
  })
}

/** A type as code; one that has a name of its own is in the reference. */
function linkedType(type: string): string {
  const isNamed = /^[A-Z]\w+$/.test(type)
  return isNamed ? `[\`${type}\`](api/x0x-exec-audit.md#${type.toLowerCase()})` : `\`${type}\``
}

function docstringOf(member: ts.PropertySignature): string {
  const [doc] = ts.getJSDocCommentsAndTags(member)
  const text = doc === undefined ? undefined : ts.getTextOfJSDocComment(doc.comment)
  if (text === undefined) throw new Error(`${member.getText()} has no docstring`)
  return text.replace(
    /\{@link (\w+)\}/g,
    (_, name: string) => `[\`${name}\`](#${name.toLowerCase()})`,
  )
}
