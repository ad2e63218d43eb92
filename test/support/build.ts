import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** Compiles `src` into `dist` once before the tests, so that they drive the worker users get. */
export default function build(): void {
  if (process.env.AUDIT_SKIP_BUILD) return
  execFileSync('npm', ['run', '--silent', 'build'], {
    cwd: join(__dirname, '../..'),
    stdio: 'inherit',
  })
}
