import { I32_MAX } from '../base/integers'
import { integer, type Values, valuesOf } from '../base/option-checks'

/** The caps on one command, and when to warn ahead of them; all have x0x's defaults. */
export interface RunLimits {
  /** Standard output that is kept or streamed, in bytes from 1; default 16 MiB. The rest is counted. */
  maxStdoutBytes: number
  /** Standard error that is kept or streamed, in bytes from 1; default 16 MiB. The rest is counted. */
  maxStderrBytes: number
  /** Largest standard input, in bytes from 1; default 1 MiB. More is denied: `stdin_too_large`. */
  maxStdinBytes: number
  /** Longest time limit, in milliseconds, 1 to 2^31 - 1; default 300,000. More is denied. */
  maxDurationMs: number
  /** Total at which `stdout_approaching_cap` is recorded, in bytes; 0 for never, default 8 MiB. */
  warnStdoutBytes: number
  /** Total at which `stderr_approaching_cap` is recorded, in bytes; 0 for never, default 8 MiB. */
  warnStderrBytes: number
  /**
   * Age at which `duration_approaching_cap` is recorded, in milliseconds; default 60,000. With 0, or
   * beyond the time limit, it is recorded with the SIGTERM.
   */
  warnDurationMs: number
  /** Time from SIGTERM to SIGKILL, in milliseconds, 0 to 2^31 - 1; default 5,000. */
  graceMs: number
  /**
   * How long the output is listened to, in milliseconds, once the command has ended and something that it
   * left behind still holds its output open; 1 to 2^31 - 1, default 1,000. Then it is let go.
   */
  lingerMs: number
}

const KIB = 1024
const MIB = 1024 * KIB

/** The defaults: those of x0x, with its grace of 5 s. */
export const DEFAULT_RUN_LIMITS: Readonly<RunLimits> = Object.freeze({
  maxStdoutBytes: 16 * MIB,
  maxStderrBytes: 16 * MIB,
  maxStdinBytes: MIB,
  maxDurationMs: 300_000,
  warnStdoutBytes: 8 * MIB,
  warnStderrBytes: 8 * MIB,
  warnDurationMs: 60_000,
  graceMs: 5_000,
  lingerMs: 1_000,
})

const LIMIT_NAMES = Object.keys(DEFAULT_RUN_LIMITS)
const COUNT_MAX = Number.MAX_SAFE_INTEGER

/** Fills in the defaults. A warning beyond its cap comes at the cap. */
export function checkLimits(where: string, input: unknown): RunLimits {
  const values = valuesOf(where, input, LIMIT_NAMES)
  const take = takerOf(where, values)
  const caps = {
    maxStdoutBytes: take('maxStdoutBytes', 1, COUNT_MAX),
    maxStderrBytes: take('maxStderrBytes', 1, COUNT_MAX),
    maxStdinBytes: take('maxStdinBytes', 1, COUNT_MAX),
    maxDurationMs: take('maxDurationMs', 1, I32_MAX),
  }
  return {
    ...caps,
    warnStdoutBytes: Math.min(take('warnStdoutBytes', 0, COUNT_MAX), caps.maxStdoutBytes),
    warnStderrBytes: Math.min(take('warnStderrBytes', 0, COUNT_MAX), caps.maxStderrBytes),
    warnDurationMs: Math.min(take('warnDurationMs', 0, COUNT_MAX), caps.maxDurationMs),
    graceMs: take('graceMs', 0, I32_MAX),
    lingerMs: take('lingerMs', 1, I32_MAX),
  }
}

function takerOf(where: string, values: Values) {
  return (name: keyof RunLimits, min: number, max: number) =>
    integer(`${where}.${name}`, values, DEFAULT_RUN_LIMITS[name], min, max)
}
