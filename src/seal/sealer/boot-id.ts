import { readFile } from 'node:fs/promises'

const BOOT_ID = '/proc/sys/kernel/random/boot_id'

/** Names the time from one start of the machine to the next; empty where the system does not tell. */
export async function readBootId(): Promise<string> {
  const text = await readFile(BOOT_ID, 'utf8').catch(() => '')
  return text.trim()
}
