import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs'

/** Writes a file that must not be there yet, and syncs it. Throws as `openSync` does, `EEXIST` if it is there. */
export function writeNewFile(file: string, text: string, mode: number): void {
  const descriptor = openSync(file, 'wx', mode)
  try {
    writeFileSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
