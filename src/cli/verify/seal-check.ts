import { SealError } from '../../seal/seal-error'
import { type ProvedLine, proveRequest } from '../../seal/verify/prove-request'
import type { SealReport } from '../../seal/verify/seal-report'
import { type VerifySealOptions, verifySeal } from '../../seal/verify/verify-seal'
import type { Paint } from '../../toolkit/text/colour'
import { CliError, EXIT_USAGE } from '../shared/errors'
import { visible } from '../shared/escape'
import { sealText } from './seal-text'

/** What a seal says about a log, and what was proved of it. */
export interface SealOutcome {
  readonly report: SealReport
  /** The lines of the request that was to be proved; undefined if none was. */
  readonly lines: readonly ProvedLine[] | undefined
}

/** Verifies a log against its seal, and proves a request's lines. What cannot be used at all is the user's mistake. */
export async function checkSeal(
  names: readonly string[],
  options: VerifySealOptions,
  request: string | undefined,
  out: string | undefined,
): Promise<SealOutcome> {
  try {
    if (request !== undefined && out !== undefined) {
      return await proveRequest(names, request, out, options)
    }
    return { report: await verifySeal(names, options), lines: undefined }
  } catch (thrown) {
    if (thrown instanceof SealError) throw new CliError(visible(thrown.message), EXIT_USAGE)
    throw thrown
  }
}

/** What `--json` has of it. */
export function jsonOf(outcome: SealOutcome | undefined): object {
  if (outcome === undefined) return {}
  const { report, lines } = outcome
  return { seal: report, ...(lines === undefined ? {} : { proved: lines }) }
}

/** The same for people. */
export function outcomeText(outcome: SealOutcome | undefined, paint: Paint, width: number): string {
  if (outcome === undefined) return ''
  const { report, lines } = outcome
  return `\n${sealText(report, paint, width)}${lines === undefined ? '' : provedText(lines)}`
}

function provedText(lines: readonly ProvedLine[]): string {
  if (lines.length === 0) return '\nno line of this request is in the log\n'
  const texts = lines.map(({ file, line, proof }) => {
    const what = proof === null ? 'is not sealed yet' : `is proved by ${visible(proof)}`
    return `${visible(file)}:${line} ${what}\n`
  })
  return `\n${texts.join('')}`
}
