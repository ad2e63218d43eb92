import { accessSync, constants } from 'node:fs'
import { resolve } from 'node:path'

/** The result of reading a command line; undefined if it is wrong, after printing why. */
export function orUsage<T>(command: string, read: () => T): { readonly value: T } | undefined {
  try {
    return { value: read() }
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    console.error(`${command}: ${reason} (--help shows the usage)`)
    process.exitCode = 2
    return undefined
  }
}

/** The folder, if files can be made in it; otherwise throws the system's error before the run. */
export function usableFolder(folder: string): string {
  const path = resolve(folder)
  accessSync(path, constants.W_OK | constants.X_OK)
  return path
}
