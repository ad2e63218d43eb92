import { runChecks } from './checks'
import type { Finding } from './finding'
import { Subject } from './subject'

/*
 * The process in which the checks run: a disk that hangs holds this one forever, and not the one that
 * the user waits for. When that is gone, this one removes what it has made, as soon as the disk lets it.
 */

/** The messages of this process to the other. */
export type Told =
  | { readonly kind: 'finding'; readonly finding: Finding }
  | { readonly kind: 'scratch'; readonly folder: string }

function tell(told: Told): void {
  if (process.connected) process.send?.(told)
}

const [log, commands = '{}', seal = '{}'] = process.argv.slice(2)
const subject = new Subject(
  log,
  JSON.parse(commands),
  (folder) => tell({ kind: 'scratch', folder }),
  JSON.parse(seal),
)

process.on('exit', () => {
  try {
    subject.clean()
  } catch {
    // It was reported already, or there is nobody left to report it to.
  }
})
process.on('disconnect', () => process.exit())
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => process.exit())

void runChecks(subject, (finding) => tell({ kind: 'finding', finding })).then(() =>
  process.disconnect(),
)
