import { mkdtempSync, rmSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { CliError } from './errors'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** A signal ended the command; its exit code is the one of a shell for that. */
class Interrupted extends CliError {
  constructor(signal: (typeof SIGNALS)[number]) {
    super(`ended by ${signal}; its files are removed`, 128 + constants.signals[signal])
  }
}

/**
 * Runs `use` with a fresh folder in `parent` and removes it, however that ends. A first signal aborts
 * `use`, which should let go of its files; a second one ends the process at once.
 */
export async function withTempDir<T>(
  parent: string,
  prefix: string,
  use: (dir: string, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(join(parent, prefix))
  const controller = new AbortController()
  const remove = () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
  const interrupt = (signal: (typeof SIGNALS)[number]) => {
    const reason = new Interrupted(signal)
    if (controller.signal.aborted) process.exit(reason.exitCode)
    controller.abort(reason)
  }
  process.on('exit', remove)
  for (const signal of SIGNALS) process.on(signal, interrupt)
  try {
    return await use(dir, controller.signal)
  } finally {
    remove()
    process.off('exit', remove)
    for (const signal of SIGNALS) process.off(signal, interrupt)
  }
}
