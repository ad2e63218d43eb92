import { type FileHandle, open, stat } from 'node:fs/promises'

/** A program that compresses logs. */
export interface Compressor {
  readonly name: string
  /** The command that decompresses to standard output. */
  readonly cat: string
  /** The first bytes of its output; no line begins with them. */
  readonly magic: readonly number[]
}

/** The one that logrotate uses by default, and that the reader decompresses. */
export const GZIP: Compressor = { name: 'gzip', cat: 'zcat', magic: [0x1f] }
const COMPRESSORS: readonly Compressor[] = [
  GZIP,
  { name: 'zstd', cat: 'zstdcat', magic: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: 'xz', cat: 'xzcat', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
  { name: 'bzip2', cat: 'bzcat', magic: [0x42, 0x5a, 0x68] },
]
const MAGIC_BYTES_MAX = Math.max(...COMPRESSORS.map(({ magic }) => magic.length))

/** The compressor of bytes that begin like this. */
export function compressorOf(bytes: Uint8Array): Compressor | undefined {
  return COMPRESSORS.find(({ magic }) => magic.every((byte, i) => bytes[i] === byte))
}

/** The compressor of a plain file; undefined even if there is no such file. */
export async function compressorOfFile(file: string): Promise<Compressor | undefined> {
  const stats = await stat(file).catch(() => undefined)
  if (!stats?.isFile()) return undefined
  const handle = await open(file)
  try {
    return await compressorOfOpen(handle)
  } finally {
    await handle.close()
  }
}

/** The compressor of an open file. */
export async function compressorOfOpen(handle: FileHandle): Promise<Compressor | undefined> {
  const { buffer } = await handle.read(Buffer.alloc(MAGIC_BYTES_MAX), { position: 0 })
  return compressorOf(buffer)
}
