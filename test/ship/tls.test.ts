import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStream } from '../../src/ship/open-stream'
import { runCli } from '../support/cli'
import { startedLine } from '../support/events'
import { type Certificate, selfSigned } from '../support/servers/certificate'
import { ENGINES } from '../support/servers/engines'
import { collected, lines, lineText } from '../support/servers/messages'
import type { TestServer } from '../support/servers/test-server'

jest.setTimeout(120_000)

const TRUST =
  'name the file of its authority in NODE_EXTRA_CA_CERTS if it is yours, else find out who answers there'

describe.each(ENGINES)('TLS to %s', (_, engine) => {
  const { it } = engine
  let folder: string
  let own: Certificate
  let other: Certificate
  let server: TestServer
  let address: string
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'exec-audit-tls-'))
    if (it === test.skip) return
    own = selfSigned(folder, 'localhost')
    other = selfSigned(folder, 'elsewhere.example')
    server = await engine.start({ certificate: own })
    address = `localhost:${server.port}`
  })
  afterAll(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const options = (stream: string) => ({ stream, create: true, ...engine.subject(stream) })

  it("takes the authority from the client's own options", async () => {
    const client = { tls: { ca: own.text } }
    const stream = await openStream(engine.secureUrl(address), { ...options('OWN'), client })
    await stream.append(lines(0, 2), (await stream.tail()).position)
    const messages = await collected(stream.read())
    await stream.close()
    expect(messages.map(({ body }) => body.toString())).toEqual([lineText(0), lineText(1)])
  })

  it.each([
    ['no authority is given', () => ({})],
    ['another one is given', () => ({ client: { tls: { ca: other.text } } })],
  ])('refuses a server that is not trusted, if %s', async (_, client) => {
    const opening = openStream(engine.secureUrl(address), { ...options('REFUSED'), ...client() })
    await expect(opening).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(
        // Node.js makes the error outside of Jest's realm, so its name is in the text.
        new RegExp(`^stream REFUSED of ${address}: Error: self-signed certificate.*: ${TRUST}$`),
      ),
    })
  })

  it('refuses a server whose certificate is for another host', async () => {
    const its = await engine.start({ certificate: other })
    try {
      const client = { tls: { ca: other.text } }
      const to = engine.secureUrl(`localhost:${its.port}`)
      await expect(openStream(to, { ...options('HOST'), client })).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(
          /Host: localhost\. .*elsewhere\.example.*: give the host name that the certificate has$/,
        ),
      })
    } finally {
      await its.stop()
    }
  })

  describe('by the command', () => {
    const ship = (stream: string, wrapper: readonly string[], ...more: readonly string[]) => {
      const log = join(folder, 'exec.log')
      writeFileSync(log, startedLine(1))
      const { subject } = engine.subject(stream)
      const to = ['--to', engine.secureUrl(address), '--stream', stream, '--create']
      const args = [
        'ship',
        '--log',
        log,
        ...to,
        ...(subject ? ['--subject', subject] : []),
        ...more,
      ]
      return runCli(args, '', wrapper)
    }

    it('takes the authority from NODE_EXTRA_CA_CERTS', async () => {
      const trusting = ['env', `NODE_EXTRA_CA_CERTS=${own.path}`]
      expect(await ship('CLI', trusting, '--once')).toEqual({ code: 0, stdout: '', stderr: '' })
      const read = ['ship', '--read', engine.secureUrl(address), '--stream', 'CLI']
      const back = await runCli(read, '', trusting)
      expect(back).toEqual({ code: 0, stdout: startedLine(1), stderr: '' })
    })

    it.each([
      ['once', ['--once']],
      ['as a follower, which does not wait for a stranger', []],
    ])('ends with 2 if the server is not trusted, %s', async (_, more) => {
      const { code, stderr } = await ship('REFUSED', [], ...more)
      expect(code).toBe(2)
      const [last] = stderr.split('\n').slice(-2)
      expect(last).toMatch(
        new RegExp(
          `^x0x-exec-audit: stream REFUSED of ${address}: self-signed certificate.*: ${TRUST} `,
        ),
      )
    })
  })
})
