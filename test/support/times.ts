/**
 * The number of trials or events of a test: `usual` by default, `full` with `FULL=1` (`npm run test:full`), or
 * the value of the environment variable of this name.
 */
export function times(name: string, usual: number, full: number): number {
  return Number(process.env[name] ?? (process.env.FULL ? full : usual))
}
