/** After so long without a byte it is said what is waited for. */
const SILENT_MS = 2_000

/**
 * Standard input to its end, or until it is longer than may be; undefined where it is a terminal.
 * @param onSilent called once, where it neither says anything nor ends for 2 s
 */
export async function readStdin(
  maxBytes: number,
  onSilent: () => void,
): Promise<Buffer | undefined> {
  if (process.stdin.isTTY) return undefined
  const chunks: Buffer[] = []
  let total = 0
  const silence = new Silence(onSilent)
  try {
    for await (const chunk of process.stdin) {
      silence.end()
      const bytes = Buffer.from(chunk)
      chunks.push(bytes)
      total += bytes.length
      if (total > maxBytes) break
    }
  } finally {
    silence.stop()
  }
  return Buffer.concat(chunks)
}

/** Tells of a silence, once. */
class Silence {
  readonly #timer: NodeJS.Timeout
  #ends = 0

  constructor(onSilent: () => void) {
    this.#timer = setTimeout(() => {
      const ends = this.#ends
      // This process may have been the one that was held up: what has come by now is read first.
      setImmediate(() => {
        if (ends === this.#ends) onSilent()
      })
    }, SILENT_MS)
  }

  end(): void {
    this.#ends++
    this.#timer.refresh()
  }

  stop(): void {
    this.#ends++
    clearTimeout(this.#timer)
  }
}
