import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A certificate that is its own authority, and its key. */
export interface Certificate {
  readonly path: string
  readonly keyPath: string
  readonly text: string
}

/** Makes a certificate for a host, with `openssl`. */
export function selfSigned(folder: string, host: string): Certificate {
  const [path, keyPath] = [join(folder, `${host}.pem`), join(folder, `${host}.key`)]
  const args = [
    ...['req', '-x509', '-nodes', '-days', '2', '-subj', `/CN=${host}`],
    ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
    ...['-addext', `subjectAltName=DNS:${host}`, '-out', path, '-keyout', keyPath],
  ]
  execFileSync('openssl', args, { stdio: 'pipe' })
  return { path, keyPath, text: readFileSync(path, 'utf8') }
}
