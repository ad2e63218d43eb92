import { generateKeyPairSync, sign } from 'node:crypto'
import { openCheckpoint, parseCheckpoint } from '../../../src/seal/note/checkpoint'
import {
  cosignedText,
  formatNote,
  parseNote,
  signatureLine,
  verifySignatures,
} from '../../../src/seal/note/note'
import { parseVerifierKey, verifierKeyOf } from '../../../src/seal/note/verifier-key'
import { EMPTY_ROOT } from '../../../src/seal/tree/hashes'
import { refusal } from '../../support/refusal'

/** The example of C2SP signed-note. */
const SPEC_VKEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
const SPEC_NOTE = `This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`
/** The examples of Go's sumdb/note. */
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const ENOCH = 'EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop'
const PETER_LINE =
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM='
const ENOCH_LINE =
  '— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ='
const GO_TEXT =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
/** The example of tlog-checkpoint. */
const SOFA = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
`

const parse = (text: string) => parseNote(Buffer.from(text), 'note')

function newKey(name: string, type: 'ed25519' | 'cosignature' = 'ed25519') {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const key = verifierKeyOf(name, type, publicKey)
  return {
    key,
    line: (text: string) => signatureLine(key, sign(null, Buffer.from(text), privateKey)),
    privateKey,
  }
}

describe('a signed note', () => {
  it("verifies as the specification's example and as Go's do", () => {
    const foo = parseVerifierKey(SPEC_VKEY)
    const note = parse(SPEC_NOTE)
    expect(note.text).toBe('This is an example message.\n')
    expect(verifySignatures(note, [foo], 'note').map(({ key }) => key.text)).toEqual([SPEC_VKEY])
    const both = parse(formatNote(GO_TEXT, [PETER_LINE, ENOCH_LINE]))
    const keys = [PETER, ENOCH].map(parseVerifierKey)
    expect(verifySignatures(both, keys, 'note').map(({ line }) => line)).toEqual([
      PETER_LINE,
      ENOCH_LINE,
    ])
  })

  it('passes over signatures of unknown keys, and refuses a wrong one of a known key', () => {
    const both = parse(formatNote(GO_TEXT, [PETER_LINE, ENOCH_LINE]))
    const [peter, enoch] = [PETER, ENOCH].map(parseVerifierKey)
    if (peter === undefined || enoch === undefined) throw new Error('no keys')
    expect(verifySignatures(both, [enoch], 'note').map(({ key }) => key)).toEqual([enoch])
    const changed = parse(formatNote(`${GO_TEXT}\n`, [PETER_LINE, ENOCH_LINE]))
    expect(verifySignatures(changed, [], 'note')).toEqual([])
    expect(refusal(() => verifySignatures(changed, [peter], 'the note'))).toBe(
      'SealError: the note: the signature of PeterNeumann is wrong',
    )
  })

  it.each([
    ['no blank line', `a\n${PETER_LINE}\n`, 'it has no blank line before its signatures'],
    ['no signature', 'a\n\n', 'it has no signature at its end'],
    ['no newline at its end', `a\n\n${PETER_LINE}`, 'it has no signature at its end'],
    ['a tab', `a\tb\n\n${PETER_LINE}\n`, 'it has control characters'],
    ['a carriage return', `a\r\n\n${PETER_LINE}\n`, 'it has control characters'],
    ['another dash', `a\n\n- x aaaaaaaa\n`, '"- x aaaaaaaa" is no signature'],
    ['a signature of an ID alone', `a\n\n— x AAAAAA==\n`, '"— x AAAAAA==" is no signature'],
    ['lax base64', `a\n\n— x AAAAAB_=\n`, '"— x AAAAAB_=" is no signature'],
  ])('is refused with %s', (_, text, why) => {
    expect(refusal(() => parse(text))).toBe(`SealError: note: it is no signed note: ${why}`)
  })

  it('is refused with more than 100 signatures, a megabyte, or bytes that are no UTF-8', () => {
    const many = formatNote('a\n', Array(101).fill(PETER_LINE))
    expect(parse(formatNote('a\n', Array(100).fill(PETER_LINE))).signatures).toHaveLength(100)
    expect(refusal(() => parse(many))).toBe(
      'SealError: note: it is no signed note: it has more than 100 signatures',
    )
    expect(refusal(() => parse('a'.repeat(1_000_001)))).toBe(
      'SealError: note: it is no signed note: it has more than 1000000 bytes',
    )
    expect(refusal(() => parseNote(Buffer.of(0xff, 0x0a), 'note'))).toBe(
      'SealError: note: it is no signed note: it is not UTF-8',
    )
  })

  it('is split at its last blank line', () => {
    const { key, line } = newKey('a')
    const text = 'one\n\ntwo\n'
    const note = parse(formatNote(text, [line(text)]))
    expect(note.text).toBe(text)
    expect(verifySignatures(note, [key], 'note')).toHaveLength(1)
  })
})

describe('a cosignature', () => {
  it('has a time, and covers it', () => {
    const { key, privateKey } = newKey('witness.example/w1', 'cosignature')
    const time = 1_679_315_147
    expect(cosignedText(SOFA, time)).toBe(`cosignature/v1\ntime 1679315147\n${SOFA}`)
    const signature = sign(null, Buffer.from(cosignedText(SOFA, time)), privateKey)
    const lineAt = (seconds: number) => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64BE(BigInt(seconds))
      return signatureLine(key, Buffer.concat([bytes, signature]))
    }
    const verified = verifySignatures(parse(formatNote(SOFA, [lineAt(time)])), [key], 'note')
    expect(verified.map(({ timeSeconds }) => timeSeconds)).toEqual([time])
    const later = parse(formatNote(SOFA, [lineAt(time + 1)]))
    expect(refusal(() => verifySignatures(later, [key], 'note'))).toBe(
      'SealError: note: the signature of witness.example/w1 is wrong',
    )
  })
})

describe('a verifier key', () => {
  it('is written as it was read', () => {
    for (const text of [SPEC_VKEY, PETER, ENOCH]) {
      const { name, type, publicKey } = parseVerifierKey(text)
      expect(verifierKeyOf(name, type, publicKey).text).toBe(text)
    }
    const witness = 'remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2'
    expect(parseVerifierKey(witness)).toMatchObject({ type: 'cosignature', id: 'da77ade7' })
    // The base64 of this one has a + itself.
    const plus = 'TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6'
    expect(parseVerifierKey(plus)).toMatchObject({ name: 'TEST', type: 'ed25519' })
  })

  const mlDsa = Buffer.alloc(1_313, 6).toString('base64')
  it.each([
    ['', 'it has not two +'],
    ['a b+530d903a+AAAA', 'its name is empty or has a space'],
    ['+530d903a+AAAA', 'its name is empty or has a space'],
    ['a+530D903A+AAAA', 'its ID is not eight hex digits'],
    ['a+530d903a+AAA', 'its key is not base64'],
    ['a+530d903a+AgAA', 'its type 0x02 is unknown'],
    ['a+530d903a+AQAA', 'its key has 2 bytes instead of 32'],
    [SPEC_VKEY.replace('530d903a', '530d903b'), 'its ID is not that of its name and key'],
    [SPEC_VKEY.replace('foo', 'bar'), 'its ID is not that of its name and key'],
    [`a+530d903a+${mlDsa}`, 'its type 0x06, ML-DSA-44, is not supported, only Ed25519 is'],
  ])('is refused: %s', (text, why) => {
    const shown = JSON.stringify(text.slice(0, 200))
    expect(refusal(() => parseVerifierKey(text))).toBe(
      `SealError: the verifier key ${shown}: ${why}; expected NAME+ID+KEY, as keygen prints it`,
    )
  })
})

describe('a checkpoint', () => {
  it("parses as the specification's example", () => {
    const { origin, size, root } = parseCheckpoint(SOFA, 'x')
    expect([origin, size]).toEqual(['example.com/behind-the-sofa', 20_852_163])
    expect(root.toString('base64')).toBe('CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=')
    expect(parseCheckpoint(`${SOFA}an extension\n`, 'x').size).toBe(20_852_163)
  })

  const root = EMPTY_ROOT.toString('base64')
  it.each([
    ['o\n1\n', 'it has not three lines'],
    [`o\n1\n${root}\n\n`, 'it has an empty line'],
    [`\n1\n${root}\n`, 'it has an empty line'],
    [`o\n01\n${root}\n`, 'its second line is not the number of leaves'],
    [`o\n-1\n${root}\n`, 'its second line is not the number of leaves'],
    [`o\n9007199254740992\n${root}\n`, 'its 9007199254740992 leaves are more than 2^53'],
    ['o\n1\nAAAA\n', 'its third line is not a root of 32 bytes, in base64'],
  ])('is refused: %j', (text, why) => {
    expect(refusal(() => parseCheckpoint(text, 'f'))).toBe(
      `SealError: f: it is no checkpoint: ${why}`,
    )
  })

  it('is opened with the key of its origin alone', () => {
    const [own, other] = [newKey('log.example/a'), newKey('log.example/b')]
    const text = `log.example/a\n1\n${root}\n`
    const bytes = (...lines: string[]) => Buffer.from(formatNote(text, lines))
    const open = (key = own.key, ...lines: string[]) => openCheckpoint(bytes(...lines), key, 'f')
    expect(open(own.key, other.line(text), own.line(text))).toMatchObject({
      origin: 'log.example/a',
      size: 1,
    })
    expect(refusal(() => open(own.key, other.line(text)))).toBe(
      `SealError: f: it is not signed by log.example/a+${own.key.id}, but by log.example/b+${other.key.id}`,
    )
    expect(refusal(() => open(other.key, other.line(text)))).toBe(
      'SealError: f: its origin is log.example/a, not log.example/b',
    )
  })
})
