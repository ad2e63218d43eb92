/** The byte that ends a line. */
export const NEWLINE = 0x0a

/** Length of a string in bytes of UTF-8. */
export function utf8Bytes(text: string): number {
  return Buffer.byteLength(text, 'utf8')
}
