import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { blocksOf, runSnippet } from '../support/documents'
import { startedLine } from '../support/events'
import { NATS } from '../support/servers/nats-engine'
import { useTempDir } from '../support/temp-dir'

const MAIN = join(__dirname, '../../dist/cli/main.js')

describe("the shipper's page", () => {
  const dir = useTempDir()

  NATS.it('has commands and code that run one after the other', async () => {
    const server = await NATS.start()
    try {
      writeFileSync(dir.path('exec.log'), startedLine(1) + startedLine(2))
      const here = (text: string) => text.replaceAll('127.0.0.1:4222', server.address)
      const commands = blocksOf('docs/ship.md', 'sh').flatMap((block) => block.trim().split('\n'))
      const outputs = commands.map((command) => {
        const script = here(command).replaceAll('x0x-exec-audit', `'${process.execPath}' '${MAIN}'`)
        return execFileSync('sh', ['-c', script], { cwd: dir.path('.'), encoding: 'utf8' })
      })
      expect(outputs).toEqual([
        '',
        '2 lines shipped, none waits\n',
        expect.stringContaining('pid 2'),
      ])
      const [snippet = '', ...others] = blocksOf('docs/ship.md', 'js')
      expect(others).toEqual([])
      expect(runSnippet(dir.path('.'), here(snippet))).toBe('0\n')
    } finally {
      await server.stop()
    }
  })
})
