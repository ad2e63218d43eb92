/** The values that x0x takes for unset keys of its `[exec]` section, besides the limits of a run. */
export const DEFAULT_LOG_PATH = '/var/log/x0x/exec.log'
export const DEFAULT_CONCURRENT_PER_AGENT = 4
export const DEFAULT_CONCURRENT_TOTAL = 32
