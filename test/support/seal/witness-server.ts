import { createHash, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { cosignedText } from '../../../src/seal/note/note'
import { type VerifierKey, verifierKeyOf } from '../../../src/seal/note/verifier-key'

interface Head {
  readonly size: number
  readonly root: Buffer
}

/** How a witness may misbehave. */
export interface Misbehaviour {
  /** The status that it answers with, whatever it is asked. */
  status?: number
  /** It signs with another key. */
  isForged?: boolean
  /** It never answers. */
  isSilent?: boolean
}

/**
 * A witness as C2SP tlog-witness describes it, for one log: it checks the signature of each checkpoint and its consistency
 * with the last one by itself (RFC 6962, section 2.1.2, by recursion), and cosigns.
 */
export class WitnessServer {
  readonly key: VerifierKey
  readonly #privateKey: KeyObject
  readonly #log: VerifierKey
  readonly #server: Server
  readonly misbehaviour: Misbehaviour = {}
  /** What it has signed last. */
  head: Head = { size: 0, root: createHash('sha256').digest() }
  /** The status of each answer. */
  readonly answers: number[] = []
  timeSeconds = 1_795_381_262

  constructor(name: string, log: VerifierKey) {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    this.key = verifierKeyOf(name, 'cosignature', publicKey)
    this.#privateKey = privateKey
    this.#log = log
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return `http://127.0.0.1:${address.port}/w`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    if (this.misbehaviour.isSilent) return
    const isAdd = request.method === 'POST' && request.url === '/w/add-checkpoint'
    const [status, text] = isAdd ? this.#add(body) : [404, '']
    this.answers.push(status)
    if (status === 409) response.setHeader('Content-Type', 'text/x.tlog.size')
    response.writeHead(this.misbehaviour.status ?? status).end(text)
  }

  #add(body: string): readonly [status: number, text: string] {
    const split = body.indexOf('\n\n')
    const [first = '', ...proofLines] = body.slice(0, split).split('\n')
    const note = body.slice(split + 2)
    const old = Number(/^old (0|[1-9]\d*)$/.exec(first)?.[1] ?? Number.NaN)
    const [text = '', ...signatures] = note.split(/(?<=\n)\n(?=\u2014)/)
    const [origin, sizeText, root = ''] = text.split('\n')
    const size = Number(sizeText)
    if (origin !== this.#log.name) return [404, '']
    if (
      !signatures
        .join('')
        .split('\n')
        .some((line) => this.#isOfLog(line, text))
    )
      return [403, '']
    if (!(old <= size)) return [400, '']
    if (old !== this.head.size) return [409, `${this.head.size}\n`]
    const head = { size, root: Buffer.from(root, 'base64') }
    if (old === size && !head.root.equals(this.head.root)) return [409, `${this.head.size}\n`]
    const proof = proofLines.map((line) => Buffer.from(line, 'base64'))
    if (!isExtension(this.head, head, proof)) return [422, '']
    this.head = head
    return [200, `${this.#cosign(text)}\n`]
  }

  #isOfLog(line: string, text: string): boolean {
    const [, name, base64 = ''] = line.split(' ')
    const bytes = Buffer.from(base64, 'base64')
    const isOurs = name === this.#log.name && bytes.subarray(0, 4).toString('hex') === this.#log.id
    return isOurs && verify(null, Buffer.from(text), this.#log.publicKey, bytes.subarray(4))
  }

  #cosign(text: string): string {
    const privateKey = this.misbehaviour.isForged
      ? generateKeyPairSync('ed25519').privateKey
      : this.#privateKey
    const time = Buffer.alloc(8)
    time.writeBigUInt64BE(BigInt(this.timeSeconds))
    const signature = sign(null, Buffer.from(cosignedText(text, this.timeSeconds)), privateKey)
    const bytes = Buffer.concat([Buffer.from(this.key.id, 'hex'), time, signature])
    return `\u2014 ${this.key.name} ${bytes.toString('base64')}`
  }
}

function nodeOf(left: Buffer, right: Buffer): Buffer {
  return createHash('sha256').update(Buffer.of(1)).update(left).update(right).digest()
}

function isExtension(old: Head, head: Head, proof: readonly Buffer[]): boolean {
  if (old.size === 0) return proof.length === 0
  const rest = [...proof]
  const roots = rootsOf(old, old.size, head.size, true, rest)
  if (roots === undefined || rest.length > 0) return false
  return roots[0].equals(old.root) && roots[1].equals(head.root)
}

/** The old and the new root that a proof leads to; it is taken from its end. */
function rootsOf(
  old: Head,
  m: number,
  n: number,
  isWhole: boolean,
  proof: Buffer[],
): [Buffer, Buffer] | undefined {
  if (m === n) {
    const hash = isWhole ? old.root : proof.pop()
    return hash === undefined ? undefined : [hash, hash]
  }
  let k = 1
  while (k * 2 < n) k *= 2
  const sibling = proof.pop()
  if (sibling === undefined) return undefined
  const below =
    m <= k ? rootsOf(old, m, k, isWhole, proof) : rootsOf(old, m - k, n - k, false, proof)
  if (below === undefined) return undefined
  const [before, after] = below
  return m <= k
    ? [before, nodeOf(after, sibling)]
    : [nodeOf(sibling, before), nodeOf(sibling, after)]
}
