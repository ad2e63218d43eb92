import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DEFAULT_RUN_LIMITS } from '../../src'
import { blocksOf, placeSnippet, tableOf } from '../support/documents'
import { trailOf } from '../support/runner'
import { useTempDir } from '../support/temp-dir'
import { until } from '../support/waiting'

const DOCUMENT = 'docs/embedding.md'
const EXAMPLES = join(__dirname, '../../docs/examples')

const dir = useTempDir()

/** The snippets, in the order of the page. */
const snippets = blocksOf(DOCUMENT, 'js')

/** Starts a snippet as it stands, in a folder where the package is installed. */
function start(snippet = '', env: NodeJS.ProcessEnv = {}) {
  placeSnippet(dir.path('.'), snippet)
  const child = spawn(process.execPath, ['snippet.mjs'], {
    cwd: dir.path('.'),
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  const output = child.stdout.setEncoding('utf8')
  output.on('data', (chunk) => {
    text += chunk
  })
  const ended = once(child, 'close').then(([code]: unknown[]) => ({ code, text }))
  return { child, output, ended }
}

const eventsOf = (name: string) => trailOf(dir.path(name)).map(({ event, kind }) => kind ?? event)

describe('the snippets of embedding', () => {
  it('are all run here', () => {
    expect(snippets.length).toBe(4)
  })

  /** The gateway on a free port, running `argv`. */
  const startGateway = async (argv: readonly string[]) => {
    const policy = `[exec]\nenabled = true\naudit_log_path = "${dir.path('exec.log')}"\n`
    writeFileSync(dir.path('exec-acl.toml'), policy)
    const env = { EXEC_POLICY: dir.path('exec-acl.toml'), PORT: '0' }
    const snippet = snippets[0]?.replace("['uptime', '-p']", JSON.stringify(argv))
    const { child, output, ended } = start(snippet, env)
    const [port]: unknown[] = await once(output, 'data')
    const answer = fetch(`http://127.0.0.1:${String(port).trim()}`, {
      headers: { connection: 'close' },
    })
    return { child, ended, answer }
  }

  it('serve commands as a gateway', async () => {
    const { child, ended, answer } = await startGateway(['echo', 'up'])
    const response = await answer
    expect([response.status, response.headers.get('x-exit-code')]).toEqual([200, '0'])
    expect(await response.text()).toBe('up\n')
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 0 })
    expect(eventsOf('exec.log')).toEqual(['request', 'started', 'exit'])
  })

  it('shut down: a command that runs is ended, answered, and has its whole trail', async () => {
    const { child, ended, answer } = await startGateway(['sleep', '60'])
    const hasStarted = () => existsSync(dir.path('exec.log')) && eventsOf('exec.log').length === 2
    await until('the command does not start', hasStarted)
    child.kill('SIGTERM')
    expect((await answer).headers.get('x-exit-code')).toBe('null')
    expect(await ended).toMatchObject({ code: 0 })
    expect(eventsOf('exec.log')).toEqual(['request', 'started', 'cancelled', 'exit'])
  })

  it('let a lease expire', async () => {
    expect(await start(snippets[1]).ended).toEqual({
      code: 0,
      text: expect.stringMatching(/^lease_expired (SIGTERM|null) lease_expired\n$/),
    })
  })

  it('show the difference between fail-closed and fail-open', async () => {
    expect(await start(snippets[2]).ended).toEqual({
      code: 0,
      text: 'closed did not run: AUDIT_FOLDER_FAILED\nopen ran, code 0 not recorded: request,started,exit\n',
    })
  })

  it('share a log between processes', async () => {
    expect(await start(snippets[3]).ended).toEqual({ code: 0, text: 'both are done\n' })
    const events = eventsOf('cluster.log')
    expect(
      ['request', 'started', 'exit'].map((name) => events.filter((e) => e === name).length),
    ).toEqual([20, 20, 20])
  })
})

describe('the tables of embedding', () => {
  it('list every example, each of at most 100 lines, closed, with a runner, ids and a principal', () => {
    const links = tableOf(DOCUMENT, 'examples').slice(1)
    const listed = links.map(([cell = '']) => /\]\(examples\/(.*)\)/.exec(cell)?.[1])
    const files = readdirSync(EXAMPLES).filter((name) => name !== 'start.ts')
    expect(listed.toSorted()).toEqual(files.toSorted())
    for (const name of files) {
      const text = readFileSync(join(EXAMPLES, name), 'utf8')
      expect(text.split('\n').length).toBeLessThanOrEqual(100)
      const parts = [
        "failureMode: 'closed'",
        'createRunner(audit',
        'idOf(',
        'principal',
        'audit.close()',
      ]
      expect(parts.filter((part) => !text.includes(part))).toEqual([])
    }
  })

  it('name every limit of the policy file with its default', () => {
    const { maxStdoutBytes, maxStdinBytes, warnStdoutBytes } = DEFAULT_RUN_LIMITS
    const defaults = tableOf(DOCUMENT, 'policy-file').map(([, cell]) => cell)
    for (const number of [maxStdoutBytes, maxStdinBytes, warnStdoutBytes, 300, 60]) {
      expect(defaults).toContain(String(number))
    }
  })
})
