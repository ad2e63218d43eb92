/** The ranges of the integers in events and options. */
export const I32_MIN = -(2 ** 31)
/** Also the longest delay of a timer of Node, in milliseconds. */
export const I32_MAX = 2 ** 31 - 1
export const U32_MAX = 2 ** 32 - 1
export const U64_MAX = 2n ** 64n - 1n
