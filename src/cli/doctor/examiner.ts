import { runChecks } from './checks'
import type { Finding } from './finding'
import { Subject } from './subject'

/*
 * The process in which the checks run: a disk that hangs holds this one for ever, and not the one that
 * the user waits for. When that is gone, this one removes what it has made, as soon as the disk lets it.
 */

/** What this process tells the other, message by message. */
export type Told =
  | { readonly kind: 'finding'; readonly finding: Finding }
  | { readonly kind: 'scratch'; readonly folder: string }

function tell(told: Told): void {
  if (process.connected) process.send?.(told)
}

const [log] = process.argv.slice(2)
const subject = new Subject(log, (folder) => tell({ kind: 'scratch', folder }))

process.on('exit', () => {
  try {
    subject.clean()
  } catch {
    // Told of already, or there is nobody left to tell.
  }
})
process.on('disconnect', () => process.exit())
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => process.exit())

void runChecks(subject, (finding) => tell({ kind: 'finding', finding })).then(() =>
  process.disconnect(),
)
