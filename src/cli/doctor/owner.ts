import { readFileSync } from 'node:fs'
import { userInfo } from 'node:os'

/** The name of this process's user. In a container a user may have none. */
export function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.geteuid?.() ?? 'unknown')
  }
}

/** The name of a user, as far as the machine itself knows it. */
export function nameOf(uid: number): string {
  if (uid === 0) return 'root'
  if (uid === process.geteuid?.()) return userName()
  for (const line of usersOf()) {
    const [name, , number] = line.split(':')
    if (name !== undefined && number === String(uid)) return name
  }
  return String(uid)
}

function usersOf(): readonly string[] {
  try {
    return readFileSync('/etc/passwd', 'utf8').split('\n')
  } catch {
    return []
  }
}
