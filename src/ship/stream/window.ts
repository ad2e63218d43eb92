/** In so many bursts a window is filled: small packets cost more than they bring. */
const BURSTS = 4

/**
 * Runs a job per item, begun in order, with at most `size` of them unfinished. They are begun in bursts of a quarter of
 * that, each when an earlier one has ended.
 * @returns the first failure, once every job that was begun has ended: no further burst is begun after it
 */
export async function runInWindow<Item>(
  size: number,
  items: Iterable<Item>,
  run: (item: Item) => Promise<void>,
): Promise<{ readonly failure: unknown } | undefined> {
  const slots = Math.min(size, BURSTS)
  const burstSize = Math.floor(size / slots)
  const bursts: Promise<unknown>[] = []
  let burst: Promise<void>[] = []
  let failed: { readonly failure: unknown } | undefined
  let count = 0
  for (const item of items) {
    if (burst.length === burstSize) {
      bursts[count++ % slots] = Promise.all(burst)
      burst = []
      // Answers come in the order of the questions: the oldest burst is the one that ends first.
      await bursts[count % slots]
      if (failed !== undefined) break
    }
    burst.push(
      run(item).catch((failure: unknown) => {
        failed ??= { failure }
      }),
    )
  }
  await Promise.all([...bursts, ...burst])
  return failed
}
