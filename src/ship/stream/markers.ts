/*
 * The bodies of messages that stand for lines which are not in the stream.
 */

/** The body in place of a line that is longer than the server takes. */
export function oversizeMarker(index: number, bytes: number, sha256: Buffer): Buffer {
  return Buffer.from(JSON.stringify({ oversize: { index, bytes, sha256: sha256.toString('hex') } }))
}

/** The body in place of lines that are gone, from the first to the last, both included. */
export function gapMarker(from: number, to: number, reason: string): Buffer {
  return Buffer.from(JSON.stringify({ gap: { from, to, reason } }))
}
