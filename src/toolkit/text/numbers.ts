const KIB = 1_024
const BYTE_UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']

/** A number of bytes: `345 B`, `1.5 MiB`. */
export function formatBytes(bytes: number | bigint): string {
  let value = Number(bytes)
  if (value < KIB) return `${value} B`
  let unit = -1
  while (value >= KIB && unit < BYTE_UNITS.length - 1) {
    value /= KIB
    unit++
  }
  return `${value.toFixed(1)} ${BYTE_UNITS[unit]}`
}

/** A count with its thousands apart, and with one decimal if it is below 10 and no whole number. */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 })
}
