/** The bytes of base64 in its one spelling (RFC 4648, section 4); undefined for anything else. */
export function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  // Node skips what is not base64, and takes the URL's alphabet too.
  return bytes.toString('base64') === text ? bytes : undefined
}
