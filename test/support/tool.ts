import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'
import { skipLoudly } from './skip'

/** The folders of administrators' programs, which are not on everybody's path. */
export const TOOL_ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }

function isThere(tool: string, versionOption: string): boolean {
  try {
    execFileSync(tool, [versionOption], { stdio: 'ignore', env: TOOL_ENV })
    return true
  } catch {
    return false
  }
}

/** `it` for tests that run a program of the distribution: skipped loudly without it, never in CI. */
export function itWithTool(tool: string, versionOption = '--version'): typeof it {
  return isThere(tool, versionOption) ? it : skipLoudly(`${tool} is missing, so it is not run`)
}

/** The output of a program that succeeded. */
export function runTool(tool: string, ...args: readonly string[]) {
  return promisify(execFile)(tool, [...args], { env: TOOL_ENV })
}
