import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { DEFAULT_RUN_LIMITS } from '../../src'
import { blocksOf, placeSnippet, textOf } from '../support/documents'
import { trailOf } from '../support/runner'
import { useTempDir } from '../support/temp-dir'

const DOCUMENT = 'docs/embedding.md'
const GATEWAY_LINES = 25

const dir = useTempDir()

/** The snippets, in the order of the file. */
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
  it('are all tried here', () => {
    expect(snippets.length).toBe(5)
  })

  it('serve commands as a gateway, in few lines', async () => {
    const [gateway = ''] = snippets
    expect(gateway.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(
      GATEWAY_LINES,
    )
    const policy = `[exec]\nenabled = true\naudit_log_path = "${dir.path('exec.log')}"\n`
    writeFileSync(dir.path('exec-acl.toml'), policy)
    const env = { EXEC_POLICY: dir.path('exec-acl.toml'), PORT: '0' }
    const { child, output, ended } = start(gateway.replace("'uptime', '-p'", "'echo', 'up'"), env)
    const [port]: unknown[] = await once(output, 'data')
    const response = await fetch(`http://127.0.0.1:${String(port).trim()}`, {
      headers: { connection: 'close' },
    })
    expect([response.status, response.headers.get('x-exit-code')]).toEqual([200, '0'])
    expect(await response.text()).toBe('up\n')
    child.kill('SIGTERM')
    expect((await ended).code).toBe(0)
    expect(eventsOf('exec.log')).toEqual(['request', 'started', 'exit'])
  })

  it('let a lease expire', async () => {
    expect(await start(snippets[1]).ended).toEqual({
      code: 0,
      text: expect.stringMatching(/^lease_expired (SIGTERM|null) lease_expired\n$/),
    })
  })

  it('show what fail-closed and fail-open are', async () => {
    expect(await start(snippets[2]).ended).toEqual({
      code: 0,
      text: 'closed did not run: AUDIT_FOLDER_FAILED\nopen ran, code 0 not recorded: request,started,exit\n',
    })
  })

  it('shut down', async () => {
    expect(await start(snippets[3]).ended).toEqual({
      code: 0,
      text: 'cancelled\nall on disk: true\n',
    })
    expect(eventsOf('shutdown.log')).toEqual(['request', 'started', 'cancelled', 'exit'])
  })

  it('share a log between processes', async () => {
    expect(await start(snippets[4]).ended).toEqual({ code: 0, text: 'both are done\n' })
    const events = eventsOf('cluster.log')
    expect(
      ['request', 'started', 'exit'].map((name) => events.filter((e) => e === name).length),
    ).toEqual([20, 20, 20])
  })
})

describe('the tables of embedding', () => {
  it('name every limit of the policy file with its default', () => {
    const { maxStdoutBytes, maxStdinBytes, warnStdoutBytes } = DEFAULT_RUN_LIMITS
    for (const number of [maxStdoutBytes, maxStdinBytes, warnStdoutBytes, 300, 60]) {
      expect(textOf(DOCUMENT)).toMatch(new RegExp(`\\| ${number} +\\|`))
    }
  })
})
