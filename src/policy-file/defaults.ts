/** What x0x takes for keys of its `[exec]` section that are not set, besides the limits of a run. */
export const DEFAULT_LOG_PATH = '/var/log/x0x/exec.log'
export const DEFAULT_CONCURRENT_PER_AGENT = 4
export const DEFAULT_CONCURRENT_TOTAL = 32
