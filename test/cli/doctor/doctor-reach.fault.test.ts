import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { runCli } from '../../support/cli'
import { findingsOf } from '../../support/doctor'
import { itWithMounts } from '../../support/privileged'
import { useTempDir } from '../../support/temp-dir'

const STRANGER = 65_534
const OTHER = '12345'
const dir = useTempDir()

/** A log in a folder below one that all may enter. */
function made(modes: { top?: number; folder: number; log: number }, owner = 0): string {
  const folder = dir.path('top/gateway')
  mkdirSync(folder, { recursive: true })
  const log = `${folder}/exec.log`
  writeFileSync(log, '')
  for (const path of [folder, log]) chownSync(path, owner, 0)
  chmodSync(log, modes.log)
  chmodSync(folder, modes.folder)
  chmodSync(dir.path('top'), modes.top ?? 0o755)
  chmodSync(dir.path(''), 0o755)
  return log
}

async function foundOf(check: string, ...args: readonly string[]) {
  const { lines } = await findingsOf(args)
  const found = lines.filter((line) => line.includes(` ${check}: `))
  return found.map((line) => line.replaceAll(dir.path(''), 'DIR')).join('\n')
}

describe('doctor, about who may reach the log', () => {
  itWithMounts.each([
    [
      0o604,
      0o755,
      /warn log: .*, mode 0604, 0 bytes: the world may read it, and what is in arguments with it \$ chmod o-r DIR/,
    ],
    [0o646, 0o755, /warn log: .*others may write to the file; .* chmod 600/],
    [0o640, 0o755, /^ok log: /],
    [0o600, 0o755, /^ok log: /],
  ])('warns about a log of mode %o that the world may read', async (log, folder, expected) => {
    expect(await foundOf('log', made({ log, folder }))).toMatch(expected)
  })

  itWithMounts.each<[string, Parameters<typeof made>, string, RegExp]>([
    [
      'keeps it out',
      [{ folder: 0o755, log: 0o600 }],
      OTHER,
      /^ok .* run as 12345 cannot reach the log \$/,
    ],
    [
      'lets it read',
      [{ folder: 0o755, log: 0o604 }],
      OTHER,
      /^warn .* 12345 can read the log \$ chmod/,
    ],
    ['lets it write', [{ folder: 0o755, log: 0o666 }], OTHER, /^warn .* can write to the log/],
    ['shuts the folder', [{ folder: 0o700, log: 0o666 }], OTHER, /^ok /],
    [
      'lets it replace the log',
      [{ folder: 0o777, log: 0o600 }],
      OTHER,
      /can replace what is in DIR\/top\/gateway \$/,
    ],
    [
      'lets it replace the folder',
      [{ top: 0o777, folder: 0o700, log: 0o600 }],
      OTHER,
      /can replace what is in DIR\/top \$/,
    ],
    ['is sticky', [{ top: 0o1777, folder: 0o700, log: 0o600 }], OTHER, /^ok /],
    [
      'is its own',
      [{ folder: 0o700, log: 0o600 }, STRANGER],
      'nobody',
      /run as nobody can replace .* own the log .* # run the commands as another user than nobody/,
    ],
    [
      'is of its group',
      [{ folder: 0o750, log: 0o660 }],
      'root',
      /^warn .* run as root can change the log/,
    ],
    [
      'nobody has',
      [{ folder: 0o700, log: 0o600 }],
      'no-such-user',
      /^warn .*there is no user no-such-user/,
    ],
    ['an option has', [{ folder: 0o700, log: 0o600 }], '--help', /^warn .*there is no user --help/],
  ])('looks at a mode that %s', async (_, [modes, owner], user, expected) => {
    expect(await foundOf('commands', `--run-as=${user}`, made(modes, owner))).toMatch(expected)
  })

  itWithMounts("warns about a log in the commands' working folder", async () => {
    const log = made({ folder: 0o755, log: 0o600 })
    for (const [folder, way] of [
      ['top', 'gateway/exec.log'],
      ['top/gateway', 'exec.log'],
    ] as const) {
      expect(await foundOf('commands', '--cwd', dir.path(folder), log)).toBe(
        `warn commands: the log is in the commands' working folder, as ${way}: a command may hit it by mistake $ # put the log outside of the commands' folder`,
      )
    }
    mkdirSync(dir.path('work'))
    expect(await foundOf('commands', '--cwd', dir.path('work'), log)).toMatch(/^ok /)
    expect(await foundOf('commands', log)).toBe('')
  })

  it('refuses to look at the commands without a log', async () => {
    const { code, stderr } = await runCli(['doctor', '--run-as', 'nobody'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('name the log')])
  })
})
