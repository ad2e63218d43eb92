import { ByteStore } from '../../runner/byte-store'

/** After this long without a byte the user is told what the command waits for. */
const SILENT_MS = 2_000
const SILENT_TURNS = 20

/**
 * Reads standard input to its end, or until it exceeds `maxBytes`; undefined if it is a terminal.
 * @param onSilent called once, if it neither sends a byte nor ends for 2 s
 */
export async function readStdin(
  maxBytes: number,
  onSilent: () => void,
): Promise<Buffer | undefined> {
  if (process.stdin.isTTY) return undefined
  const store = new ByteStore()
  const silence = new Silence(onSilent)
  try {
    for await (const chunk of process.stdin) {
      silence.end()
      store.add(Buffer.from(chunk))
      if (store.length > maxBytes) break
    }
  } finally {
    silence.stop()
  }
  return store.take()
}

/**
 * Reports a silence, once. It counts turns of the event loop, since a process that was held up has not yet
 * read the bytes that came.
 */
class Silence {
  readonly #timer: NodeJS.Timeout
  #turns = 0

  constructor(onSilent: () => void) {
    this.#timer = setInterval(() => {
      if (++this.#turns < SILENT_TURNS) return
      this.stop()
      onSilent()
    }, SILENT_MS / SILENT_TURNS)
  }

  end(): void {
    this.#turns = 0
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
