import { hostname } from 'node:os'
import { idOf } from '../../../src'
import { useTempDir } from '../../support/temp-dir'
import { linesOf, portOf, startExample, trailsOf, untilStarted } from './example'

const dir = useTempDir()

async function startGateway(auditLog = dir.path('exec.log')) {
  const gateway = startExample('http-gateway', { AUDIT_LOG: auditLog })
  const url = `http://127.0.0.1:${await portOf(gateway)}/commands`
  const post = (body: unknown, key = 'k-alice', signal?: AbortSignal) =>
    fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    })
  return { ...gateway, post }
}

describe('the HTTP gateway with Fastify', () => {
  it('runs what a rule allows, denies the rest, and has each in the log with its principal', async () => {
    const { child, ended, post } = await startGateway()
    const allowed = await post({ argv: ['echo', 'hello'] })
    const answers = [
      await post({ argv: ['rm', '-rf', '/'] }),
      await post({ argv: ['echo'] }, 'wrong'),
      await post({ argv: [1] }),
      await post({ argv: [] }),
    ]
    expect([allowed.status, ...answers.map(({ status }) => status)]).toEqual([
      200, 403, 401, 400, 400,
    ])
    expect(await allowed.json()).toEqual({
      requestId: expect.stringMatching(/^[0-9a-f]{32}$/),
      outcome: 'exited',
      denialReason: null,
      code: 0,
      signal: null,
      stdout: 'hello\n',
      stderr: '',
    })
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(trailsOf(dir.path('exec.log'))).toEqual([
      'request started exit',
      'argv_not_allowed',
      'unverified_sender',
      'malformed_frame',
      'malformed_frame',
    ])
    const asked = linesOf(dir.path('exec.log')).filter(({ context }) => context !== undefined)
    expect(asked.map(({ context }) => context?.principal)).toEqual([
      ...['user:alice', 'user:alice', 'user:unknown', 'user:alice', 'user:alice'],
    ])
    expect(asked[0]).toMatchObject({
      agent_id: idOf('user:alice'),
      machine_id: idOf(`host:${hostname()}`),
      argv: ['echo', 'hello'],
      matched_acl: 'harmless',
      context: { session: 'http:127.0.0.1' },
    })
  })

  it('ends the command of a peer that hangs up', async () => {
    const { child, ended, post } = await startGateway()
    const peer = new AbortController()
    const answer = post({ argv: ['sleep', '60'] }, 'k-alice', peer.signal)
    await untilStarted(dir.path('exec.log'))
    peer.abort()
    await expect(answer).rejects.toThrow('aborted')
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(trailsOf(dir.path('exec.log'))).toEqual(['request started peer_disconnected exit'])
  })

  it('runs nothing that it cannot record', async () => {
    const { post } = await startGateway('/proc/no-log-can-be-here/exec.log')
    const answer = await post({ argv: ['echo', 'hello'] })
    expect([answer.status, await answer.json()]).toEqual([503, { error: 'AUDIT_FOLDER_FAILED' }])
  })
})
