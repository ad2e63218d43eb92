import { userInfo } from 'node:os'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { idOf } from '../../../src'
import { useTempDir } from '../../support/temp-dir'
import { exampleArgs, linesOf, trailsOf, untilStarted } from './example'

const PRINCIPAL = `user:${userInfo().username}`

const dir = useTempDir()

/** A client that has started the server, as a desktop application does. */
async function connect(auditLog = dir.path('exec.log')) {
  const client = new Client({ name: 'test', version: '1.0.0' })
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: exampleArgs('mcp-server'),
    env: { PATH: process.env.PATH ?? '', AUDIT_LOG: auditLog },
  })
  await client.connect(transport)
  const call = (argv: readonly string[], signal?: AbortSignal) =>
    client.callTool({ name: 'run', arguments: { argv } }, undefined, signal && { signal })
  return { client, call }
}

const text = (content: string) => [{ type: 'text', text: content }]

describe('the MCP server', () => {
  it('makes a tool call one audited run, and a denial an isError result', async () => {
    const { client, call } = await connect()
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['run'])
    expect(await call(['echo', 'hello'])).toEqual({
      isError: false,
      content: text('exit code 0\nhello\n'),
    })
    expect(await call(['rm', '-rf', '/'])).toEqual({
      isError: true,
      content: text('not run: argv_not_allowed'),
    })
    await client.close()
    expect(trailsOf(dir.path('exec.log'))).toEqual(['request started exit', 'argv_not_allowed'])
    const asked = linesOf(dir.path('exec.log')).filter(({ context }) => context !== undefined)
    expect(asked.map(({ agent_id }) => agent_id)).toEqual([idOf(PRINCIPAL), idOf(PRINCIPAL)])
    const [first, second] = asked.map(({ context }) => context)
    expect(first).toEqual({
      principal: PRINCIPAL,
      session: expect.stringMatching(/^[0-9a-f-]{36}$/),
      tool_call: '2',
    })
    expect(second).toEqual({ ...first, tool_call: '3' })
  })

  it('ends the command of a call that the client cancels', async () => {
    const { client, call } = await connect()
    const cancel = new AbortController()
    const answer = call(['sleep', '60'], cancel.signal)
    await untilStarted(dir.path('exec.log'))
    cancel.abort('no longer wanted')
    await expect(answer).rejects.toThrow('no longer wanted')
    await client.close()
    expect(trailsOf(dir.path('exec.log'))).toEqual(['request started cancelled exit'])
  })

  it('runs nothing that it cannot record', async () => {
    const { client, call } = await connect('/proc/no-log-can-be-here/exec.log')
    expect(await call(['echo', 'hello'])).toEqual({
      isError: true,
      content: text(expect.stringContaining('/proc/no-log-can-be-here')),
    })
    await client.close()
  })
})
