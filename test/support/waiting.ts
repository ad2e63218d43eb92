/*
 * The only way to wait in a test, and the only policy on time:
 *
 * - Wait for a condition, never for a time that should be enough: `until`. Its limit is there for a test
 *   that fails, so it is generous, and `PATIENCE=n` multiplies it on a slow machine (in CI it is 2).
 * - If time itself is the subject, let it pass: `pause`, or `stall` to hold the thread up meanwhile.
 * - An upper limit on how long something took holds for the best of a few runs: `leastOf`.
 *
 * `WAITING` is the same code for a script that runs in a child process; test/architecture.test.ts finds
 * any other way to wait. The functions in it may therefore use nothing but each other.
 */

const LIMIT_MS = 30_000
const POLL_MS = 5
const RUNS_MAX = 5
const CI_PATIENCE = 2
const PATIENCE = Number(process.env.PATIENCE ?? (process.env.CI ? CI_PATIENCE : 1))

/** A limit that only a test which fails reaches, as this machine needs it. */
export function patient(ms: number): number {
  return ms * PATIENCE
}

/** Lets time pass, for tests whose subject is time. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Lets one turn of the event loop pass. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Holds the thread up, and with it its timers and callbacks. */
export function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** Waits until the condition holds. `otherwise` says what is wrong if it does not within the limit. */
export async function until(
  otherwise: string,
  condition: () => boolean,
  withinMs = LIMIT_MS,
): Promise<void> {
  const deadline = performance.now() + patient(withinMs)
  // The first turn costs nothing: many conditions are only a few callbacks away.
  for (await turn(); !condition(); await pause(POLL_MS)) {
    if (performance.now() > deadline) throw new Error(otherwise)
  }
}

/** Resolves with `'ended'` once the promise does, or with `'hangs'` when the limit is over. */
export function endsWithin(promise: Promise<unknown>, withinMs: number): Promise<string> {
  const hangs = new Promise<string>((resolve) => {
    setTimeout(resolve, patient(withinMs), 'hangs').unref()
  })
  return Promise.race([promise.then(() => 'ended'), hangs])
}

/** The least of a few runs, as soon as it is below the limit: on a busy machine one may take longer. */
export async function leastOf(
  limitMs: number,
  measureMs: (run: number) => Promise<number>,
): Promise<number> {
  let leastMs = Number.POSITIVE_INFINITY
  for (let run = 0; run < RUNS_MAX && leastMs >= limitMs; run++) {
    leastMs = Math.min(leastMs, await measureMs(run))
  }
  return leastMs
}

/** {@link pause}, {@link turn}, {@link stall}, {@link until}, {@link endsWithin} for a child's script. */
export const WAITING = [
  `const [LIMIT_MS, POLL_MS, PATIENCE] = ${JSON.stringify([LIMIT_MS, POLL_MS, PATIENCE])}`,
  ...[patient, pause, turn, stall, until, endsWithin].map(String),
].join('\n')

/** A script that holds its thread up for ever. */
export const STALLED = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'
