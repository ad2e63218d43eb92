import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { SealRange } from '../../seal/verify/seal-report'
import type { VerifySealOptions } from '../../seal/verify/verify-seal'
import { wholeNumber } from '../shared/arguments'
import { messageOf, usageError } from '../shared/errors'
import { STDIN } from '../shared/log-input'

/** The options of `verify` that are about a seal. */
export interface SealCommandOptions {
  readonly seal?: string
  readonly key?: readonly string[]
  readonly checkpoint?: string
  readonly stream?: string
  readonly witness?: readonly string[]
  readonly quorum?: number
  readonly firstIndex?: number
  readonly fromStart?: true
  readonly allowErased?: readonly SealRange[]
  readonly maxUnsealed?: number
  readonly prove?: string
  readonly out?: string
}

const DEFAULT_SEAL = '.tlog'
const UNIT_MS = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
])
const REQUEST = /^[0-9a-f]{32}$/

export function addSealOptions(command: Command): void {
  command
    .option('--seal <folder>', 'the seal to verify it against (default with --key: LOG.tlog)')
    .addOption(
      repeated(
        '--key <vkey>',
        "the log's verifier key, as keygen prints it, or its file; again for origins before a re-anchoring",
      ),
    )
    .option(
      '--checkpoint <file>',
      'a checkpoint that was kept elsewhere: nothing before it may differ; or nats://…, redis://… with --stream',
    )
    .option('--stream <name>', 'the stream that --checkpoint takes the greatest checkpoint from')
    .addOption(repeated('--witness <vkey>', "a witness's verifier key; again for more"))
    .addOption(
      new Option('--quorum <n>', 'how many witnesses must have signed (default: all)').argParser(
        wholeNumber(1),
      ),
    )
    .addOption(
      new Option('--first-index <n>', 'lines from this index on must be there').argParser(
        wholeNumber(0),
      ),
    )
    .addOption(
      new Option('--allow-erased <ranges>', 'lines that may be erased: INDEX[-INDEX],…').argParser(
        ranges,
      ),
    )
    .addOption(
      new Option(
        '--max-unsealed <time>',
        'how old an unsealed line may be (default: 60s)',
      ).argParser(time),
    )
    .addOption(
      new Option(
        '--prove <request>',
        'write a proof of each line of this request (its whole id)',
      ).argParser(request),
    )
    .option('--out <folder>', 'where --prove writes')
}

function repeated(flags: string, description: string): Option {
  return new Option(flags, description).argParser(
    (text: string, before: readonly string[] = []) => [...before, text],
  )
}

function ranges(text: string): SealRange[] {
  return text.split(',').map((part) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? []
    const [index, end] = [Number(first), Number(last)]
    if (first !== undefined && Number.isSafeInteger(end) && end >= index) {
      return { index, count: end - index + 1 }
    }
    throw new InvalidArgumentError('Expected indexes such as 12 or 3,7-9.')
  })
}

function time(text: string): number {
  const [, digits, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? []
  const ms = Number(digits) * (UNIT_MS.get(unit) ?? 0)
  if (Number.isFinite(ms)) return ms
  throw new InvalidArgumentError('Expected a time such as 60s, 5m, 1h.')
}

function request(text: string): string {
  const id = text.toLowerCase().replaceAll('-', '')
  if (REQUEST.test(id)) return id
  throw new InvalidArgumentError(
    'Expected a whole request id, of 32 hexadecimal digits, as show prints it.',
  )
}

/** The options for a verification of the seal; undefined if none is asked for. */
export function sealOptionsOf(
  names: readonly string[],
  options: SealCommandOptions,
): VerifySealOptions | undefined {
  const { seal, key, checkpoint, witness, quorum, firstIndex, allowErased, prove, out } = options
  const needs = {
    checkpoint,
    witness,
    quorum,
    'first-index': firstIndex,
    'allow-erased': allowErased,
    prove,
  }
  if (seal === undefined && key === undefined) {
    const [first] = Object.entries(needs).filter(([, value]) => value !== undefined)
    const { maxUnsealed, stream } = options
    const others = { ...needs, 'max-unsealed': maxUnsealed, out, stream }
    const [other] = first ?? Object.entries(others).find(([, value]) => value !== undefined) ?? []
    if (other !== undefined) throw usageError(`--${other} needs --seal or --key`)
    return undefined
  }
  if (names.includes(STDIN))
    throw usageError('a seal is verified with files, not with standard input')
  if ((prove === undefined) !== (out === undefined))
    throw usageError('--prove and --out go together')
  const newest = names.at(-1) ?? ''
  return {
    seal: seal ?? `${newest.replace(/\.gz$/, '')}${DEFAULT_SEAL}`,
    keys: key?.map(keyOf),
    ...{ checkpoint, witnesses: witness?.map(keyOf), quorum, allowErased },
    firstIndex: firstIndex ?? (options.fromStart ? 0 : undefined),
    maxUnsealedMs: options.maxUnsealed,
  }
}

/** A verifier key, or the one in a file. */
function keyOf(text: string): string {
  if (text.includes('+')) return text
  try {
    return readFileSync(text, 'utf8').trim()
  } catch (thrown) {
    throw usageError(
      `${JSON.stringify(text)} is neither a verifier key nor its file: ${messageOf(thrown)}`,
    )
  }
}
