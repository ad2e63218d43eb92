import { resolve } from 'node:path'
import { invalidOption } from '../../base/invalid-option'
import { refuse } from '../../base/option-checks'
import { commandSigner, fileSigner, readVerifierKey, type Signer, vkeyFileOf } from '../note/signer'
import { parseVerifierKey, type VerifierKey } from '../note/verifier-key'
import { unsafeFolderAbove } from './safe-folder'
import type { SealNote } from './sealer'

/** Where a log's seal is, and who signs it. */
export interface SealPlace {
  /** The log: a path. */
  log: string
  /**
   * The seal's folder: a path. Default `LOG.tlog` beside the log, if nobody but root and this user can write to a
   * folder above it.
   */
  seal?: string | undefined
  /** The private key's file, as `seal keygen` makes it; either this or `signCommand`. */
  key?: string | undefined
  /** A program that signs: the note's text on its standard input, the signature in base64 on its standard output. */
  signCommand?: string | undefined
  /** The verifier key, or its file. Default: the file of the key with `.vkey` in place of `.pem`. */
  vkey?: string | undefined
  /** Where the note signed last is kept. Default: the file of the key with `.last` in place of `.pem`. */
  last?: string | undefined
}

/** Options of `openSealer`. */
export interface SealerOptions extends SealPlace {
  /** How often new lines are sealed: milliseconds, 100 to 3,600,000; default 1,000. */
  intervalMs?: number | undefined
  /** A file for Prometheus' textfile collector, replaced after each attempt: a path. */
  metricsFile?: string | undefined
  /** Witnesses that cosign, each as `URL,VKEY`; they never delay the sealing. */
  witnesses?: readonly string[] | undefined
  /** Called with what an operator has to know. Default: process warnings. */
  onNote?: ((note: SealNote) => void) | undefined
}

const PLACE_NAMES = [
  'log',
  'seal',
  'key',
  'signCommand',
  'vkey',
  'last',
] as const satisfies readonly (keyof SealPlace)[]
export const SEALER_NAMES = [
  ...PLACE_NAMES,
  'intervalMs',
  'metricsFile',
  'witnesses',
  'onNote',
] as const satisfies readonly (keyof SealerOptions)[]

/** A place with all paths absolute. */
export interface ResolvedPlace {
  readonly log: string
  readonly seal: string
  readonly lastFile: string
  readonly vkeyFile: string | undefined
  readonly key: VerifierKey
  /** Makes the signer, under another verifier key of the same private key if one is given. */
  readonly signer: (key?: VerifierKey) => Signer
}

/**
 * Checks a place and fills in its defaults.
 * @throws TypeError or RangeError for a mistake in the options; SealError for a key that cannot be used
 */
export function resolvePlace(place: SealPlace): ResolvedPlace {
  const { key: keyFile, signCommand, last } = place
  for (const name of PLACE_NAMES) {
    const value: unknown = place[name]
    const isPath = typeof value === 'string' && value !== '' && !value.includes('\0')
    if (!isPath && (value !== undefined || name === 'log')) refuse(name, value, 'a path')
  }
  if ((keyFile === undefined) === (signCommand === undefined)) {
    throw invalidOption('key, signCommand', 'expected one of them, to sign with')
  }
  if (signCommand !== undefined && (place.vkey === undefined || last === undefined)) {
    throw invalidOption('signCommand', 'vkey and last are needed, too')
  }
  const log = resolve(place.log)
  const seal = resolve(place.seal ?? defaultSeal(log))
  const isText = place.vkey?.includes('+') === true
  const vkeyFile = isText ? undefined : (place.vkey ?? vkeyFileOf(keyFile ?? ''))
  const key =
    vkeyFile === undefined ? parseVerifierKey(place.vkey ?? '') : readVerifierKey(vkeyFile)
  return {
    ...{ log, seal, vkeyFile, key },
    lastFile: resolve(last ?? `${(keyFile ?? '').replace(/\.pem$/, '')}.last`),
    signer: (as = key) =>
      keyFile === undefined ? commandSigner(signCommand ?? '', as) : fileSigner(keyFile, as),
  }
}

/** Throws a RangeError if somebody else could put another folder in its place. */
function defaultSeal(log: string): string {
  const seal = `${log}.tlog`
  const unsafe = unsafeFolderAbove(seal)
  if (unsafe === undefined) return seal
  throw invalidOption(
    'seal',
    `${unsafe} can be written by others, who could put another folder in the place of ${seal}; name a folder of the sealer's own`,
    RangeError,
  )
}
