import { type FileHandle, open, stat } from 'node:fs/promises'

/** A program that packs logs. */
export interface Compressor {
  readonly name: string
  /** What unpacks to standard output. */
  readonly cat: string
  /** The first bytes of what it makes; no line begins with them. */
  readonly magic: readonly number[]
}

/** The one that logrotate calls by itself, and that is unpacked here. */
export const GZIP: Compressor = { name: 'gzip', cat: 'zcat', magic: [0x1f] }
const COMPRESSORS: readonly Compressor[] = [
  GZIP,
  { name: 'zstd', cat: 'zstdcat', magic: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: 'xz', cat: 'xzcat', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
  { name: 'bzip2', cat: 'bzcat', magic: [0x42, 0x5a, 0x68] },
]
const MAGIC_BYTES_MAX = Math.max(...COMPRESSORS.map(({ magic }) => magic.length))

/** Who has packed bytes that begin like this. */
export function compressorOf(bytes: Uint8Array): Compressor | undefined {
  return COMPRESSORS.find(({ magic }) => magic.every((byte, i) => bytes[i] === byte))
}

/** Who has packed a plain file; undefined also where there is none. */
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

/** Who has packed an open file. */
export async function compressorOfOpen(handle: FileHandle): Promise<Compressor | undefined> {
  const { buffer } = await handle.read(Buffer.alloc(MAGIC_BYTES_MAX), { position: 0 })
  return compressorOf(buffer)
}
