import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  linkSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { gzipSync } from 'node:zlib'
import { runCli, startCli } from '../../support/cli'
import { startedLine, startedLines } from '../../support/events'
import { itWithMounts } from '../../support/privileged'
import { idOf, writeSampleLog } from '../../support/sample-log'
import { useTempDir } from '../../support/temp-dir'
import { endsWithin, until } from '../../support/waiting'

const dir = useTempDir()
const log = () => dir.path('exec.log')
/** Root as any other user: what is another's is shut. */
const POWERLESS = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all']
const HANGS_MS = 20_000

const READERS: [command: string, ...args: string[]][] = [
  ['view'],
  ['view', '-n', '2'],
  ['view', '-n', '0', '--denied'],
  ['view', '-n', '3', '--agent', 'a1'],
  ['view', '--json'],
  ['show', idOf('01')],
  ['stats', '--json'],
  ['verify', '--max-problems', '3'],
]

describe.each(READERS)('%s %s %s', (...command) => {
  it('reads the same from a pipe, which one writer fills once, as from the file', async () => {
    await writeSampleLog(log())
    const fifo = dir.path('fifo')
    execFileSync('mkfifo', [fifo])
    const expected = await runCli([...command, log()])
    const fill = ['sh', '-c', 'cat "$0" >"$1" & shift; exec "$@"', log(), fifo]
    const { end } = startCli([...command, fifo], '', fill)
    expect(await endsWithin(end, HANGS_MS)).toBe('ended')
    const { code, stdout, stderr } = await end
    const named = (text: string) => text.replaceAll(fifo, log())
    expect({ code, stdout: named(stdout), stderr: named(stderr) }).toEqual(expected)
  })

  it('reads a pipe of compressed bytes, too', async () => {
    await writeSampleLog(log())
    const packed = dir.path('packed')
    writeFileSync(packed, gzipSync(readFileSync(log())))
    const fifo = dir.path('fifo')
    execFileSync('mkfifo', [fifo])
    const fill = ['sh', '-c', 'cat "$0" >"$1" & shift; exec "$@"', packed, fifo]
    const { code, stderr } = await runCli([...command, fifo], '', fill)
    expect([code, stderr]).toEqual([
      2,
      `x0x-exec-audit: ${fifo} is compressed by gzip; decompress it: zcat ${fifo} | ..., and name - (--help shows the usage)\n`,
    ])
  })

  it('reads an empty device, and says what a socket is', async () => {
    const { code, stderr } = await runCli([...command, '/dev/null'])
    const nothing = 'x0x-exec-audit: nothing found; searched /dev/null: no events\n'
    const isAsked = command[0] !== 'verify' && command[2] !== '0'
    expect([stderr, code]).toEqual(
      command[0] === 'show'
        ? [expect.stringContaining('no events'), 1]
        : [isAsked ? nothing : '', 0],
    )
    const path = dir.path('socket')
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(path, resolve))
    try {
      const { code, stderr } = await runCli([...command, path])
      expect([code, stderr]).toEqual([
        2,
        expect.stringMatching(
          /socket: ENXIO: .*; it is a socket, or a device that is not there\n$/,
        ),
      ])
    } finally {
      server.close()
    }
  })

  itWithMounts('names a rotated file that it may not read', async () => {
    await writeSampleLog(log())
    const shut = `${log()}.1`
    copyFileSync(log(), shut)
    chmodSync(shut, 0)
    const { code, stderr } = await runCli([...command, log(), shut], '', POWERLESS)
    expect(code).toBe(2)
    expect(stderr).toContain(
      `x0x-exec-audit: ${shut}: EACCES: permission denied; read it as the gateway's user, or by sudo\n`,
    )
  })

  it('reads a file once, whatever links and spellings name it', async () => {
    await writeSampleLog(log())
    const expected = await runCli([...command, log()])
    const [soft, hard] = [`${log()}.1`, `${log()}.2`]
    symlinkSync(log(), soft)
    linkSync(log(), hard)
    const again = `${dir.path('')}/./exec.log`
    const { code, stdout, stderr } = await runCli([...command, soft, log(), hard, again])
    const left = [soft, hard, again].map(
      (name) => `x0x-exec-audit: ${name} is left out, since it is the same file as ${log()}\n`,
    )
    expect({ code, stdout, stderr: stderr.replace(left.join(''), '') }).toEqual(expected)
    expect(stderr).toContain(left.join(''))
  })

  it('refuses to read standard input twice', async () => {
    const { code, stderr } = await runCli([...command, '-', '-'])
    expect([code, stderr]).toEqual([
      2,
      'x0x-exec-audit: standard input can be read only once (--help shows the usage)\n',
    ])
  })
})

describe('a hostile name', () => {
  it('is quoted in a command to paste, and shown without what a terminal acts on', async () => {
    const name = dir.path("exec.log.1 $(touch x)'\x1b[2J\n")
    writeFileSync(name, Buffer.from('28b52ffd00', 'hex'))
    const { stderr } = await runCli(['view', name])
    const quoted = `$'${dir.path('')}/exec.log.1 $(touch x)\\'\\x1b[2J\\n'`
    expect(stderr).toBe(
      `x0x-exec-audit: ${dir.path('')}/exec.log.1 $(touch x)'\\x1b[2J\\x0a is compressed by zstd; decompress it: zstdcat ${quoted} | ..., and name - (--help shows the usage)\n`,
    )
  })

  it.each(['stats', 'verify', 'view'])(
    'among the rotations does not mislead %s',
    async (command) => {
      writeFileSync(log(), startedLine(2))
      writeFileSync(`${log()}.1`, startedLine(1))
      const names = ["exec.log.2'; id", 'exec.log.99999', 'exec.log.-1', 'exec.log.1\nexec.log.7']
      for (const [i, name] of names.entries()) writeFileSync(dir.path(name), startedLine(3 + i))
      const files = [log(), `${log()}.1`, ...names.map((name) => dir.path(name))]
      const { code, stderr } = await runCli([command, ...files])
      expect([code === 0 || command === 'verify', /[^\n -~]/.test(stderr)]).toEqual([true, false])
      expect(stderr.split('\n').every((line) => line === '' || line.startsWith('x0x-'))).toBe(true)
    },
  )
})

describe('view -f', () => {
  it.each([
    ['mkfifo', 'EINVAL: a FIFO cannot be followed'],
    ['mkdir', 'EISDIR: a folder cannot be followed'],
  ])('refuses at once what %s makes', async (command, why) => {
    const path = dir.path('odd')
    execFileSync(command, [path])
    const { end } = startCli(['view', '-f', path])
    expect(await endsWithin(end, HANGS_MS)).toBe('ended')
    const { code, stderr } = await end
    expect([code, stderr]).toEqual([2, expect.stringContaining(why)])
  })

  itWithMounts(
    'goes on over a new file that may not be read at first, and says it once',
    async () => {
      writeFileSync(log(), startedLines(2))
      const { output, child } = startCli(['view', '-f', '-o', 'raw', log()], '', POWERLESS)
      await until(`no start: ${output.stderr}`, () => output.stdout === startedLines(2))
      writeFileSync(dir.path('new'), startedLine(3), { mode: 0 })
      renameSync(dir.path('new'), log())
      const told = `x0x-exec-audit: ${log()}: `
      const shut = `${told}cannot be read; trying again\n`
      await until(`not told: ${output.stderr}`, () => output.stderr === shut)
      chmodSync(log(), 0o600)
      await until(`no end: ${output.stderr}`, () => output.stdout.endsWith(startedLine(3)))
      expect(output.stderr).toBe(`${shut}${told}rotated; going on with the new file\n`)
      child.kill()
    },
  )

  itWithMounts('ends if the file may not be read when it begins', async () => {
    writeFileSync(log(), startedLine(1), { mode: 0 })
    const { code, stderr } = await runCli(['view', '-f', log()], '', POWERLESS)
    expect([code, stderr]).toEqual([2, expect.stringContaining('EACCES: permission denied')])
  })
})
