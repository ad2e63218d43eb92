/** How {@link sampleNs} measures. */
export interface Sampling {
  /** Milliseconds that are at least spent in the measured calls. */
  readonly ms?: number
  /** The exact number of samples; without it, `ms` decides. */
  readonly samples?: number
  /** Awaited before each call, outside of the measurement. */
  readonly before?: () => Promise<unknown>
}

/**
 * Measures `fn` with mitata, and awaits its promise if it returns one. A sample is one call: mitata
 * would otherwise take 4,096 short calls as one sample, and of the samples drop the best and worst
 * two, so that the maximum would not be the maximum.
 * @returns nanoseconds per call, ascending
 */
export async function sampleNs(fn: () => unknown, sampling: Sampling): Promise<number[]> {
  const { ms = 0, samples, before } = sampling
  const options = {
    gc: false,
    batch_threshold: 0,
    samples_threshold: Number.POSITIVE_INFINITY,
    min_cpu_time: ms * 1e6,
    ...(samples === undefined ? {} : { min_samples: samples, max_samples: samples }),
    // mitata calls a measured function's parameters before each call, off the clock.
    params: before === undefined ? [] : [before],
  }
  // An ES module, which tests that only look at a benchmark's plots could not require.
  const { measure } = await import('mitata')
  const stats = await measure(fn, options)
  return stats.samples
}
