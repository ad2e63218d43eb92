/** The byte that ends a line. */
export const NEWLINE = 0x0a

/*
 * Methods of Buffer and Uint8Array, taken once. V8 looks a method of a Buffer up again at each call, even in
 * optimized code, and that takes longer than to copy an id.
 */
const { set } = Uint8Array.prototype
const { write, toString: decode } = Buffer.prototype

/** Copies all of `source` into `target`, from `offset` on. */
export function copyBytes(source: Uint8Array, target: Uint8Array, offset: number): void {
  set.call(target, source, offset)
}

/** Writes a text as UTF-8 from `offset` on, where there must be room for it; returns its length in bytes. */
export function writeUtf8(text: string, target: Buffer, offset: number): number {
  return write.call(target, text, offset, 'utf8')
}

/** The bytes from `start` to `end` as text. */
export function decodeText(
  bytes: Buffer,
  encoding: 'hex' | 'latin1' | 'utf8',
  start: number,
  end: number,
): string {
  return decode.call(bytes, encoding, start, end)
}

/** Length of a string in bytes of UTF-8. */
export function utf8Bytes(text: string): number {
  return Buffer.byteLength(text, 'utf8')
}
