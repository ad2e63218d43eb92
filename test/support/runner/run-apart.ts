import { spawn } from 'node:child_process'
import { once } from 'node:events'

/**
 * Runs a program of these tests beside others, and prints what it has printed once it ends: each one's output stays
 * whole. The caller has built before. Resolves with whether it ended well.
 */
export async function runApart(
  title: string,
  program: string,
  args: readonly string[],
): Promise<boolean> {
  console.log(`${title} begins`)
  const child = spawn(process.execPath, [...process.execArgv, program, ...args], {
    env: { ...process.env, AUDIT_SKIP_BUILD: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const [code] = await once(child, 'close')
  process.stdout.write(`\n=== ${title}\n${output}`)
  return code === 0
}
