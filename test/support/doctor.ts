import { runCli } from './cli'

interface Finding {
  readonly check: string
  readonly status: string
  readonly found: string
  readonly remedy?: string
}

/** The doctor's findings, one line each. */
export async function findingsOf(args: readonly string[], wrapper: readonly string[] = []) {
  const { code, stdout, stderr } = await runCli(['doctor', '--json', ...args], '', wrapper)
  expect(stderr).toBe('')
  const { findings }: { findings: readonly Finding[] } = JSON.parse(stdout)
  const lines = findings.map(
    ({ check, status, found, remedy }) => `${status} ${check}: ${found} $ ${remedy}`,
  )
  return { code, lines }
}

/** The findings that are not ok, without the speed of the disk, which varies, and the lack of rotation. */
export async function badOf(
  log: string,
  wrapper: readonly string[] = [],
  args: readonly string[] = [],
) {
  const { code, lines } = await findingsOf([log, ...args], wrapper)
  // No rule of this machine names the log of a test.
  const usual = /^warn (?:sync: fdatasync [\d.]|rotation: no rule of logrotate)/
  const bad = lines.filter((line) => !line.startsWith('ok ') && !usual.test(line))
  return { code, bad }
}

/** The lines of checks that were skipped; the last three of them write beside the log. */
export function untried(why: string, ...checks: readonly string[]): string[] {
  return [...checks, 'append', 'sync', 'round trip'].map(
    (check) => `warn ${check}: not tried, since ${why} $ undefined`,
  )
}
