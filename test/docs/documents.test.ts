import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { gzipSync } from 'node:zlib'
import { blocksOf, DOCUMENTS, runSnippet, textOf } from '../support/documents'
import { AGENT_ID, denialEvent, exitEvent, requestEvent, startedEvent } from '../support/events'
import { openAudit } from '../support/open-audit'
import { useTempDir } from '../support/temp-dir'

const MAIN = join(__dirname, '../../dist/cli/main.js')
const REQUEST_ID = '0d4b8a5c'.repeat(4)

/** Where the snippets of each document are run; one that is not here has none. */
const SNIPPETS = {
  'README.md': 'js: readme.test; sh: check-tarball',
  'docs/api.md': 'api.test',
  'docs/bundling.md': 'check-tarball',
  'docs/command-line.md': 'below',
  'docs/embedding.md': 'embedding.test, exit-matrix.fault.test',
  'docs/incidents.md': 'incidents.test',
  'docs/identity.md': 'api.test',
  'docs/observing.md': 'observing.test',
  'docs/ocsf.md': 'below',
  'docs/reading.md': 'below',
  'docs/seal.md': 'seal.test',
  'docs/ship.md': 'ship.test',
  'docs/shipping.md': 'shipping-recipes.test',
  'docs/testing.md': 'below',
  'docs/tuning.md': 'tune-command.test',
}

/** What a link may name in a document: its headings, as GitHub calls them, and its anchors. */
function anchorsOf(document: string): Set<string> {
  const text = textOf(document).replace(/^```[\s\S]*?^```$/gm, '')
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-'),
  )
  const anchors = [...text.matchAll(/<a id="([^"]+)">/g)].map(([, id = '']) => id)
  return new Set([...headings, ...anchors])
}

function isBroken(document: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? document : normalize(join(dirname(document), path))
  try {
    return anchor === undefined ? textOf(target) === '' : !anchorsOf(target).has(anchor)
  } catch {
    return true
  }
}

describe('the documents', () => {
  it.each(DOCUMENTS)('%s has no broken link', (document) => {
    const text = textOf(document).replace(/^```[\s\S]*?^```$/gm, '')
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
    const local = links.filter((link) => !link.startsWith('https://'))
    expect(local.filter((link) => isBroken(document, link))).toEqual([])
  })

  it('have only snippets that a test runs', () => {
    const withSnippets = DOCUMENTS.filter(
      (name) =>
        !name.startsWith('docs/api/') &&
        [...blocksOf(name, 'js'), ...blocksOf(name, 'sh')].length > 0,
    )
    expect(withSnippets.sort()).toEqual(Object.keys(SNIPPETS).sort())
  })
})

describe('the snippets of the documents', () => {
  const dir = useTempDir()

  const writeLog = async (): Promise<void> => {
    const { audit } = openAudit(dir.path('logs/exec.log'), { clock: Date.now })
    await audit.request(
      requestEvent({ requestId: REQUEST_ID, agentId: `a1b2${AGENT_ID.slice(4)}` }),
    )
    await audit.started(startedEvent({ requestId: REQUEST_ID }))
    await audit.exit(exitEvent({ requestId: REQUEST_ID, code: 3 }))
    await audit.denial(denialEvent({ requestId: '01'.repeat(16) }))
    await audit.close()
  }

  it('read a log', async () => {
    await writeLog()
    appendFileSync(dir.path('logs/exec.log'), '{"event":"ex\n')
    const [read = '', follow = '', ...others] = blocksOf('docs/reading.md', 'js')
    expect(others).toEqual([])
    expect(runSnippet(dir.path('.'), read)).toBe(`${REQUEST_ID} 3\n1 broken lines\n`)
    expect(runSnippet(dir.path('.'), follow)).toBe(
      `request ${REQUEST_ID}\nstarted ${REQUEST_ID}\nexit ${REQUEST_ID}\n`,
    )
  })

  it('test a gateway', () => {
    const snippets = blocksOf('docs/testing.md', 'js')
    expect(snippets.map((snippet) => runSnippet(dir.path('.'), snippet))).toEqual(['', ''])
  })

  it('are commands that run', async () => {
    await writeLog()
    const lines = readFileSync(dir.path('logs/exec.log'), 'utf8').split(/(?<=\n)/)
    for (const folder of ['.', 'logs']) {
      writeFileSync(dir.path(`${folder}/exec.log.1`), lines.slice(1, 2).join(''))
      writeFileSync(dir.path(`${folder}/exec.log.2.gz`), gzipSync(lines.slice(0, 1).join('')))
    }
    writeFileSync(dir.path('exec.log'), lines.slice(2).join(''))
    mkdirSync(dir.path('bin'))
    writeFileSync(
      dir.path('bin/x0x-exec-audit'),
      `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`,
    )
    chmodSync(dir.path('bin/x0x-exec-audit'), 0o755)
    const env = { ...process.env, PATH: `${dir.path('bin')}:${process.env.PATH}` }
    const commands = ['docs/command-line.md', 'docs/ocsf.md']
      .flatMap((page) => blocksOf(page, 'sh'))
      .flatMap((block) => block.split('\n').filter((line) => line !== ''))
    expect(commands.length).toBe(16)
    const printed = commands.map((command) => {
      // The gateway's own folder does not exist here, and following has no end.
      const here = command.replace('/var/log/gateway', dir.path('logs')).replace(' -f ', ' ')
      // The findings of doctor depend on the machine.
      const script = here.includes(' doctor ') ? `${here} || [ $? -eq 1 ]` : here
      return execFileSync('sh', ['-ec', script], {
        cwd: dir.path('.'),
        env,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    })
    expect(commands.filter((_, i) => printed[i] === '')).toEqual([])
  })
})
