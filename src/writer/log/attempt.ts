import { codeOf } from '../../base/describe'
import { type Failure, failureOf, type Stage } from '../ring/failure-word'

/*
 * One attempt at the file, and the stage at which it failed: every access to the file system runs in
 * `at`, which ties an error to its stage.
 */

/** Refuses to write to a file, for a reason of our own: one of the REASON constants. */
export class Refusal extends Error {
  constructor(readonly reason: number) {
    super()
  }
}

/** An error, with the stage at which it was thrown. */
class StageFailure extends Error {
  readonly failure: Failure
  /** The code of the error, for {@link unlessCode}. */
  readonly code: string | undefined

  constructor(stage: Stage, cause: unknown) {
    super(stage, { cause })
    this.failure =
      cause instanceof Refusal ? { stage, reason: cause.reason } : failureOf(stage, cause)
    this.code = codeOf(cause)
  }
}

/** The result of `action`; its error is a failure of `stage`, unless an inner `at` named another. */
export function at<T>(stage: Stage, action: () => T): T {
  try {
    return action()
  } catch (thrown) {
    throw thrown instanceof StageFailure ? thrown : new StageFailure(stage, thrown)
  }
}

/** Runs `action`; returns why it failed, or undefined. Outside any {@link at} the stage is `open`. */
export function attempt(action: () => void): Failure | undefined {
  try {
    at('open', action)
    return undefined
  } catch (thrown) {
    if (thrown instanceof StageFailure) return thrown.failure
    throw thrown
  }
}

/** The stage at which this was thrown, if it was thrown in an {@link at}. */
export function stageOf(thrown: unknown): Stage | undefined {
  return thrown instanceof StageFailure ? thrown.failure.stage : undefined
}

/** The result of `action`, or undefined if it throws one of the codes. */
export function unlessCode<T>(codes: readonly string[], action: () => T): T | undefined {
  try {
    return action()
  } catch (thrown) {
    const code = codeOf(thrown)
    if (code !== undefined && codes.includes(code)) return undefined
    throw thrown
  }
}
