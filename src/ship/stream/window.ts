/**
 * Runs a job per item, begun in order, with a bounded number of them unfinished.
 * @returns the first failure, once every job that was begun has ended: none is begun after it
 */
export async function runInWindow<Item>(
  size: number,
  items: Iterable<Item>,
  run: (item: Item) => Promise<void>,
): Promise<{ readonly failure: unknown } | undefined> {
  const jobs: Promise<void>[] = []
  let failed: { readonly failure: unknown } | undefined
  let count = 0
  for (const item of items) {
    // Answers come in the order of the questions: the oldest job is the one that ends first.
    await jobs[count % size]
    if (failed !== undefined) break
    jobs[count++ % size] = run(item).catch((failure: unknown) => {
      failed ??= { failure }
    })
  }
  await Promise.all(jobs)
  return failed
}
