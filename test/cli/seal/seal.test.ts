import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseNote, verifySignatures } from '../../../src/seal/note/note'
import { initSeal } from '../../../src/seal/sealer/open-sealer'
import { runCli } from '../../support/cli'
import { itWithMounts } from '../../support/privileged'
import { findingsOf, newPlace, placeOptions, sealedLeaves } from '../../support/seal/sealer-place'
import { WitnessServer } from '../../support/seal/witness-server'
import { useTempDir } from '../../support/temp-dir'

const dir = useTempDir()

async function sealPlace() {
  const place = newPlace(dir.path('.'))
  await initSeal(place)
  writeFileSync(place.log, 'a\nb\n')
  return place
}

/** Of the lines a and b: the root is the tree's, so it is the same one each time. */
const SEALED = 'DIR/exec.log: sealed 2 lines, 2 in all; root rVymzdwLJ8ao…\n'

const seal = async (...args: readonly string[]) => {
  const { code, stdout, stderr } = await runCli(['seal', ...args])
  const [out, err] = [stdout, stderr].map((text) => text.replaceAll(dir.path('.'), 'DIR'))
  return { code, stdout: out, stderr: err }
}

describe('seal --once --witness', () => {
  let servers: WitnessServer[] = []
  afterEach(async () => {
    await Promise.all(servers.map((server) => server.close()))
    servers = []
  })

  async function witnessed() {
    const place = await sealPlace()
    const server = new WitnessServer('witness.example/w1', place.key)
    servers.push(server)
    const url = await server.listen()
    const once = () =>
      seal('--once', ...placeOptions(place), '--witness', `${url},${server.key.text}`)
    return { place, server, url, once, note: join(place.seal, 'checkpoint.witnessed') }
  }

  it('ends once the witness has cosigned what is sealed', async () => {
    const { server, once, note } = await witnessed()
    expect(await once()).toEqual({ code: 0, stdout: SEALED, stderr: '' })
    expect(server.head.size).toBe(2)
    const kept = parseNote(readFileSync(note), 'note')
    expect(kept.text.split('\n')[1]).toBe('2')
    expect(verifySignatures(kept, [server.key], 'note').map(({ key }) => key.name)).toEqual([
      'witness.example/w1',
    ])
  })

  it('reports a witness that refuses, and has sealed all the same', async () => {
    const { place, server, url, once } = await witnessed()
    server.misbehaviour.status = 500
    expect(await once()).toEqual({
      ...{ code: 0, stdout: SEALED },
      stderr: `x0x-exec-audit: witness: witness.example/w1: ${url}/add-checkpoint answered 500\n`,
    })
    expect(sealedLeaves(place).length).toBe(2)
  })

  it('reports a cosigned note that cannot be kept', async () => {
    const { place, once, note } = await witnessed()
    mkdirSync(`${note}.new`)
    expect(await once()).toEqual({
      ...{ code: 0, stdout: SEALED },
      stderr:
        "x0x-exec-audit: witness: cannot keep checkpoint.witnessed: EISDIR: illegal operation on a directory, open 'DIR/seal/checkpoint.witnessed.new'\n",
    })
    expect(sealedLeaves(place).length).toBe(2)
  })
})

describe('seal', () => {
  it.each([
    ['x', '--witness: the witness "x": expected URL,VKEY'],
    [
      'ftp://w.example,x',
      '--witness: the witness "ftp://w.example,x": expected an http: or https: URL before the comma',
    ],
  ])(
    'takes a mistake in --witness %s for one in the command line, also without --once',
    async (witness, why) => {
      const place = await sealPlace()
      for (const once of [['--once'], []]) {
        const end = await seal(...once, ...placeOptions(place), '--witness', witness)
        const stderr = `x0x-exec-audit: ${why} (--help shows the usage)\n`
        expect(end).toEqual({ code: 2, stdout: '', stderr })
      }
      expect(sealedLeaves(place)).toEqual([])
    },
  )

  it('takes LOG.tlog only if nobody else can put another folder in its place', async () => {
    const { log } = newPlace(dir.path('.'), dir.path('logs/exec.log'))
    mkdirSync(dir.path('logs'))
    chmodSync(dir.path('logs'), 0o775)
    const options = ['--log', log, '--key', dir.path('key.pem')]
    expect(await seal('init', ...options)).toEqual({
      ...{ code: 2, stdout: '' },
      stderr:
        "x0x-exec-audit: --seal: DIR/logs can be written by others, who could put another folder in the place of DIR/logs/exec.log.tlog; name a folder of the sealer's own (--help shows the usage)\n",
    })
    chmodSync(dir.path('logs'), 0o755)
    expect((await seal('init', ...options)).code).toBe(0)
    expect(readFileSync(`${log}.tlog/checkpoint`, 'utf8').split('\n')[1]).toBe('0')
  })

  it('signs by a command, and goes on once that answers', async () => {
    const place = newPlace(dir.path('.'))
    const program = dir.path('sign')
    const recipe = `t=$(mktemp) && cat >"$t" && openssl pkeyutl -sign -rawin -inkey '${dir.path('key.pem')}' -in "$t" | base64 -w0; rm "$t"`
    const write = (script: string) =>
      writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    const options = ['--log', place.log, '--seal', place.seal, '--sign-command', program]
    const keys = ['--vkey', place.key.text, '--last', place.lastFile]
    expect((await seal('init', ...options)).stderr).toBe(
      'x0x-exec-audit: --sign-command: vkey and last are needed, too (--help shows the usage)\n',
    )
    write(recipe)
    expect((await seal('init', ...options, ...keys)).code).toBe(0)
    writeFileSync(place.log, 'a\n')
    write('exit 3')
    expect(await seal('--once', ...options, ...keys)).toEqual({
      ...{ code: 1, stdout: '' },
      stderr:
        'x0x-exec-audit: failed: cannot sign: the sign command DIR/sign: it ended with 3\nx0x-exec-audit: not all lines are sealed: see the note above\n',
    })
    expect(sealedLeaves(place)).toEqual([])
    write(recipe)
    const stdout = 'DIR/exec.log: sealed 1 line, 1 in all; root ojvVsG2pBII4…\n'
    expect(await seal('--once', ...options, ...keys)).toEqual({ code: 0, stdout, stderr: '' })
    expect(sealedLeaves(place).length).toBe(1)
    expect(await findingsOf(place)).toEqual([])
  })

  itWithMounts("refuses another user's file in the place of the log", async () => {
    const place = await sealPlace()
    expect((await seal('--once', ...placeOptions(place))).code).toBe(0)
    renameSync(place.log, `${place.log}.1`)
    writeFileSync(place.log, 'c\n')
    chownSync(place.log, 65_534, 65_534)
    const why =
      "DIR/exec.log belongs to the user 65534, and the log's first file to 0; chown it, if it is the log\n"
    expect(await seal('--once', ...placeOptions(place))).toEqual({
      ...{ code: 1, stdout: '' },
      stderr: `x0x-exec-audit: refused: not read: ${why}x0x-exec-audit: nothing is signed: ${why}`,
    })
    expect(sealedLeaves(place).length).toBe(2)
  })
})
