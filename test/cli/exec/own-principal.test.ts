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

  it('is the id of whoever asks, if none is named', async () => {
    const log = dir.path('exec.log')
    const { code } = await runCli(['exec', '--log', log, '--no-stdin', '--', 'true'])
    const [request = ''] = readFileSync(log, 'utf8').split('\n')
    const expected = idOf(ownPrincipal(process.env, process.getuid?.() ?? 0))
    expect([code, JSON.parse(request).agent_id]).toEqual([0, expected])
  })
})
