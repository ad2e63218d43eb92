import { createHash } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { formatCheckpoint } from '../../../src/seal/note/checkpoint'
import { fileSigner, generateKey, type Signer } from '../../../src/seal/note/signer'
import { formatSegment } from '../../../src/seal/sealer/segments'
import { entryOf, leafOf } from '../../../src/seal/tree/hashes'
import { TiledTree } from './tiled-tree'

/** The time at which the lines of {@link eventLines} begin; they are a millisecond apart. */
export const START_MS = 1_795_381_262_000

/** The id of the request that a line of {@link eventLines} belongs to. */
export const requestOf = (line: number) =>
  createHash('md5')
    .update(String(Math.floor(line / 3)))
    .digest('hex')

/** Lines of requests that run one after the other: request, started, exit. */
export function eventLines(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => eventLine(from + i))
}

function eventLine(line: number): string {
  const head = { ts_unix_ms: START_MS + line, request_id: requestOf(line) }
  const ids = { agent_id: 'a1'.repeat(32), machine_id: 'b2'.repeat(32) }
  const end = { duration_ms: 1, stdout_bytes: line, stderr_bytes: 0, truncated: false }
  const events = [
    {
      event: 'request',
      ...head,
      ...ids,
      argv: ['echo', `line ${line}`],
      matched_acl: null,
      stdin_bytes: 0,
      timeout_ms: 1_000,
    },
    { event: 'started', ...head, pid: 4_242 },
    { event: 'exit', ...head, code: 0, signal: null, ...end },
  ]
  return JSON.stringify(events[line % 3])
}

/** Consecutive lines of one file, as the sealer met them. */
export interface SealedRange {
  readonly file: string
  readonly lines: readonly string[]
  /** Of its first line in its file; 0 begins the file. */
  readonly offset?: number
}

export function writeLines(file: string, lines: readonly string[]): void {
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''))
}

/** Makes a key whose file is in a folder. */
export function newSigner(folder: string, origin = 'log.example/gw1'): Signer {
  const file = join(folder, `${origin.replaceAll('/', '-')}-${Math.random()}.pem`)
  return fileSigner(file, generateKey(origin, file))
}

/** Writes the seal of a log into a folder, in the place of what is there. @returns the checkpoint's note */
export async function writeSeal(
  folder: string,
  signer: Signer,
  ranges: readonly SealedRange[],
  reanchor?: string,
): Promise<string> {
  rmSync(folder, { recursive: true, force: true })
  const first = reanchor === undefined ? [] : [leafOf(entryOf(Buffer.from(reanchor)))]
  const leaves = ranges.flatMap(({ lines }) =>
    lines.map((line) => leafOf(entryOf(Buffer.from(line)))),
  )
  const tree = new TiledTree([...first, ...leaves])
  const checkpoint = { origin: signer.key.name, size: tree.size, root: tree.root() }
  const note = await signer.sign(formatCheckpoint(checkpoint))
  for (const [path, bytes] of tree.files()) write(join(folder, path), bytes)
  write(join(folder, 'checkpoint'), note)
  write(join(folder, 'checkpoints'), note)
  if (reanchor !== undefined) write(join(folder, 'reanchor'), reanchor)
  let next = first.length
  const segments = ranges.map(({ file, lines, offset = 0 }) => {
    const sha256 = entryOf(Buffer.from(lines[0] ?? '')).toString('hex')
    const at = { first: next, sha256, device: '1', inode: '1', offset, uid: 0, opened: 0, file }
    next += lines.length
    return formatSegment(at)
  })
  write(join(folder, 'segments'), segments.join(''))
  return note
}

function write(file: string, bytes: string | Buffer): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, bytes)
}
