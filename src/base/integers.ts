/** The ranges of 32 bit integers, signed as x0x's `i32` and unsigned as its `u32`. */
export const I32_MIN = -(2 ** 31)
/** Also the longest delay of a timer in Node, in milliseconds. */
export const I32_MAX = 2 ** 31 - 1
export const U32_MAX = 2 ** 32 - 1
