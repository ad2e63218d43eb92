import type { FileHandle } from 'node:fs/promises'
import { NEWLINE } from '../base/bytes'

const BLOCK_BYTES = 64 * 1024

/**
 * Where the last `count` whole lines of a file's first `size` bytes begin, found from its end; 0 if
 * it has no more. A last line without a newline is behind them and does not count.
 */
export async function lastLinesStart(
  handle: FileHandle,
  size: number,
  count: number,
): Promise<number> {
  const block = Buffer.allocUnsafe(BLOCK_BYTES)
  let left = count
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - BLOCK_BYTES)
    const { bytesRead } = await handle.read(block, 0, end - start, start)
    let at = bytesRead
    while (at > 0) {
      at = block.lastIndexOf(NEWLINE, at - 1)
      if (at < 0) break
      if (left-- === 0) return start + at + 1
    }
    end = start
  }
  return 0
}
