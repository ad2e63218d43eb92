/** How grave a finding is: `warn` is worth knowing, `fail` loses events or their durability. */
export type Status = 'ok' | 'warn' | 'fail'

/** What one check has found. */
export interface Finding {
  readonly check: string
  readonly status: Status
  /** One sentence, without its full stop. */
  readonly found: string
  /** What to do about it: a command to paste, with `# words` where there is none; several a line each. */
  readonly remedy?: string
}

/** A finding of a check that does not know its own name. */
export type Verdict = Omit<Finding, 'check'>

export function ok(found: string): Verdict {
  return { status: 'ok', found }
}

export function warn(found: string, remedy?: string): Verdict {
  return { status: 'warn', found, ...(remedy === undefined ? {} : { remedy }) }
}

export function fail(found: string, remedy?: string): Verdict {
  return { status: 'fail', found, ...(remedy === undefined ? {} : { remedy }) }
}

/** What cannot be tried for a reason that another check tells of, with its remedy. */
export function untried(hindrance: string): Verdict {
  return warn(`not tried, since ${hindrance}`)
}

/** The gravest of them, their texts and remedies together. */
export function merged(verdicts: readonly [Verdict, ...Verdict[]]): Verdict {
  const status = worst(verdicts.map((verdict) => verdict.status))
  // What is well is not worth a word beside what is not.
  const told = verdicts.filter((verdict) => status === 'ok' || verdict.status !== 'ok')
  const remedies = told.flatMap(({ remedy }) => remedy ?? [])
  return {
    status,
    found: told.map(({ found }) => found).join('; '),
    ...(remedies.length === 0 ? {} : { remedy: [...new Set(remedies)].join('\n') }),
  }
}

export function worst(statuses: readonly Status[]): Status {
  return (['fail', 'warn'] as const).find((status) => statuses.includes(status)) ?? 'ok'
}
