import { SealError } from '../../seal/seal-error'
import type { VerifySealOptions } from '../../seal/verify/verify-seal'
import { newestCheckpoint } from '../../ship/newest-checkpoint'
import { StreamError } from '../../ship/stream/stream-error'
import { CliError, EXIT_UNSURE, EXIT_USAGE, usageError } from '../shared/errors'
import { visible } from '../shared/escape'

const SERVER = /^(nats|tls|rediss?):\/\//

/**
 * The options with the checkpoint that a stream holds, if `--checkpoint` names a server. It is read before the seal:
 * what is signed and shipped meanwhile is no difference.
 */
export async function withKeptCheckpoint(
  options: VerifySealOptions,
  stream: string | undefined,
): Promise<VerifySealOptions> {
  const { checkpoint, keys = [] } = options
  if (typeof checkpoint !== 'string' || !SERVER.test(checkpoint)) {
    if (stream === undefined) return options
    throw usageError('--stream goes with --checkpoint nats://HOST:4222 or redis://HOST:6379')
  }
  if (stream === undefined) {
    throw usageError(`name the stream that has the checkpoints: --stream NAME`)
  }
  try {
    return { ...options, checkpoint: await newestCheckpoint(checkpoint, { stream }, keys) }
  } catch (thrown) {
    if (thrown instanceof SealError) throw new CliError(visible(thrown.message), EXIT_USAGE)
    if (!(thrown instanceof StreamError)) throw thrown
    const code = thrown.kind === 'unreachable' ? EXIT_UNSURE : EXIT_USAGE
    throw new CliError(visible(thrown.message), code)
  }
}
