import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { entryOf } from '../../../src/seal/tree/hashes'
import { proveRequest } from '../../../src/seal/verify/prove-request'
import {
  eventLines,
  newSigner,
  requestOf,
  writeLines,
  writeSeal,
} from '../../support/seal/hand-sealed'
import { skipLoudly } from '../../support/skip'
import { useTempDir } from '../../support/temp-dir'

/** Debian's golang-golang-x-mod-dev. */
const GOPATH = '/usr/share/gocode'
const PACKAGE = 'src/golang.org/x/mod/sumdb/tlog/tlog.go'
const itWithGo = existsSync(join(GOPATH, PACKAGE))
  ? it
  : skipLoudly('golang-go and golang-golang-x-mod-dev are missing, so no other tool checks seals')

const folder = useTempDir()
const run = promisify(execFile)
let bin = ''

beforeAll(async () => {
  bin = mkdtempSync(join(tmpdir(), 'exec-audit-go-'))
  if (itWithGo !== it) return
  const source = join(__dirname, '../../support/seal/check.go')
  const env = {
    ...process.env,
    GO111MODULE: 'off',
    GOPATH,
    GOFLAGS: '',
    GOCACHE: join(bin, 'cache'),
  }
  await run('go', ['build', '-o', join(bin, 'check'), source], { env })
})
afterAll(() => rmSync(bin, { recursive: true, force: true }))

/** What the tool says, or why it refuses. */
const check = (...args: readonly string[]) =>
  run(join(bin, 'check'), [...args]).then(
    ({ stdout }) => stdout.trim(),
    ({ stderr }) =>
      `refused: ${String(stderr)
        .trim()
        .replace(/^\S+ \S+ /, '')}`,
  )

describe("Go's sumdb", () => {
  itWithGo.each([1, 256, 700])(
    'accepts the checkpoint, tiles and proofs of %d lines',
    async (count) => {
      const signer = newSigner(folder.path(''))
      const lines = eventLines(count)
      const seal = folder.path('seal')
      const note = await writeSeal(seal, signer, [{ file: 'exec.log', lines }])
      const entries = folder.path('entries')
      const write = (all: readonly string[]) =>
        writeFileSync(
          entries,
          all.map((line) => `${entryOf(Buffer.from(line)).toString('hex')}\n`).join(''),
        )
      write(lines)
      const root = note.split('\n')[2]
      const { text } = signer.key
      expect(await check('tree', text, seal, entries)).toBe(`${count} entries of ${root}`)
      write(lines.with(0, 'another'))
      expect(await check('tree', text, seal, entries)).toBe('refused: invalid transparency proof')
      const other = newSigner(folder.path(''))
      expect(await check('tree', other.key.text, seal, entries)).toBe(
        'refused: note has no verifiable signatures',
      )
    },
  )

  itWithGo('accepts the proof of a line with the line alone', async () => {
    const signer = newSigner(folder.path(''))
    const lines = eventLines(700)
    const [log, seal, out] = [folder.path('exec.log'), folder.path('seal'), folder.path('out')]
    writeLines(log, lines)
    await writeSeal(seal, signer, [{ file: 'exec.log', lines }])
    const options = { seal, keys: [signer.key.text] }
    const proved = await proveRequest([log], requestOf(600), out, options)
    expect(proved.lines).toEqual(
      [600, 601, 602].map((index) => ({
        ...{ file: log, line: index + 1, index, proof: join(out, `${index}.tlog-proof`) },
      })),
    )
    const line = folder.path('line')
    for (const { index, proof } of proved.lines) {
      writeLines(line, [lines[index ?? 0] ?? ''])
      expect(await check('proof', signer.key.text, line, proof ?? '')).toBe(`line ${index} of 700`)
      writeLines(line, [`${lines[index ?? 0]} `])
      expect(await check('proof', signer.key.text, line, proof ?? '')).toBe(
        'refused: invalid transparency proof',
      )
    }
    expect(readFileSync(join(out, '600.tlog-proof'), 'utf8')).toMatch(
      /^c2sp\.org\/tlog-proof@v1\nindex 600\n/,
    )
    await expect(proveRequest([log], requestOf(600), out, options)).rejects.toThrow(
      `cannot write ${join(out, '600.tlog-proof')}: it is there; name another folder`,
    )
  })
})
