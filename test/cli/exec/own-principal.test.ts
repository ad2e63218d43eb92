import { readFileSync } from 'node:fs'
import { idOf } from '../../../src'
import { ownPrincipal } from '../../../src/cli/exec/command'
import { runCli } from '../../support/cli'
import { useTempDir } from '../../support/temp-dir'

const dir = useTempDir()

describe('the agent of exec', () => {
  it.each([
    [{}, 1_000, 'uid:1000'],
    [{ SUDO_UID: '1000' }, 0, 'uid:1000'],
    [{ SUDO_UID: '7' }, 1_000, 'uid:1000'],
    [{ SUDO_UID: 'root' }, 0, 'uid:0'],
  ])('with %j and the user %d is %s', (env, uid, principal) => {
    expect(ownPrincipal(env, uid)).toBe(principal)
  })

  it('is the id of the user if none is named, whose name is then in the context', async () => {
    const principal = ownPrincipal(process.env, process.getuid?.() ?? 0)
    const { agent_id, context } = await requestOf([])
    expect([agent_id, context]).toEqual([idOf(principal), { principal }])
  })

  it('is the one that is named, without a context', async () => {
    const agent = 'a1'.repeat(32)
    const { agent_id, context } = await requestOf(['--agent', agent])
    expect([agent_id, context]).toEqual([agent, undefined])
  })
})

async function requestOf(options: readonly string[]) {
  const log = dir.path('exec.log')
  const { code } = await runCli(['exec', '--log', log, '--no-stdin', ...options, '--', 'true'])
  expect(code).toBe(0)
  return JSON.parse(readFileSync(log, 'utf8').split('\n')[0] ?? '')
}
