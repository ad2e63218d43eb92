import { createHash } from 'node:crypto'
import { describe } from '../base/describe'
import { invalidOption } from '../base/invalid-option'

/**
 * An agent or machine id for a name that has none of its own: the SHA-256 of its UTF-8, as 64 hexadecimal digits.
 * Names need a prefix of their kind, such as `user:alice`, `key:7f3a` or `oidc:ISSUER#SUBJECT`, so that two
 * kinds cannot meet in one id. It is the same id in every process and on every machine.
 *
 * @throws TypeError if the name is no string, is empty, or has a lone surrogate
 * @example
 * await audit.request({ requestId, agentId: idOf('user:alice'), machineId: idOf('host:web-1'), argv, ...limits })
 */
export function idOf(name: string): string {
  const given: unknown = name
  if (typeof given !== 'string' || given === '' || !given.isWellFormed()) {
    const got =
      typeof given === 'string' ? 'one that is empty or has a lone surrogate' : describe(given)
    throw invalidOption('name', `expected a string, got ${got}`)
  }
  return createHash('sha256').update(given, 'utf8').digest('hex')
}
