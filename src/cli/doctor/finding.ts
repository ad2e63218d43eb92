/** How grave a finding is: `warn` is worth knowing, `fail` loses events or their durability. */
export type Status = 'ok' | 'warn' | 'fail'

/** The result of one check. */
export interface Finding {
  readonly check: string
  readonly status: Status
  /** One sentence, without its full stop. */
  readonly found: string
  /** The remedy: a command to paste, or `# words` if there is none; several stand on a line each. */
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

/** A check that cannot be tried, for a reason that another check reports with its remedy. */
export function untried(hindrance: string): Verdict {
  return warn(`not tried, since ${hindrance}`)
}

/** The gravest of them, their texts and remedies together. */
export function merged(verdicts: readonly [Verdict, ...Verdict[]]): Verdict {
  const status = worst(verdicts.map((verdict) => verdict.status))
  // A verdict that is well says nothing beside one that is not.
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
