import { hash } from 'node:crypto'

/*
 * The hashes of RFC 6962 with SHA-256. The tree's entries are hashes of lines, so that no argv reaches the
 * seal, a line of any length fits, and a line can be erased while its hash stays.
 */

export const HASH_BYTES = 32
const LEAF_PREFIX = 0x00
const NODE_PREFIX = 0x01

/** The root of a tree without leaves: the hash of nothing. */
export const EMPTY_ROOT: Buffer = sha256(new Uint8Array())

// Each is filled and hashed within one call.
const leafInput = Buffer.alloc(1 + HASH_BYTES, LEAF_PREFIX)
const nodeInput = Buffer.alloc(1 + 2 * HASH_BYTES, NODE_PREFIX)

function sha256(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer')
}

/** A line's entry. @param line its bytes, without its newline */
export function entryOf(line: Uint8Array): Buffer {
  return sha256(line)
}

/** @param entry 32 bytes */
export function leafOf(entry: Uint8Array): Buffer {
  leafInput.set(entry, 1)
  return sha256(leafInput)
}

/** The node above two hashes of 32 bytes each. */
export function nodeOf(left: Uint8Array, right: Uint8Array): Buffer {
  nodeInput.set(left, 1)
  nodeInput.set(right, 1 + HASH_BYTES)
  return sha256(nodeInput)
}
