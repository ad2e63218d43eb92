/**
 * How often a fault is tried, or how many events there are: `usual` times by default, `full` times with
 * `FULL=1`, and as often as the environment's variable of this name says.
 */
export function times(name: string, usual: number, full: number): number {
  return Number(process.env[name] ?? (process.env.FULL ? full : usual))
}
