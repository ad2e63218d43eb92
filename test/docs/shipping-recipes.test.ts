import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { textOf } from '../support/documents'
import { writeSampleLog } from '../support/recipe-log'
import { SHIPPING, shipped } from '../support/shipping'
import { useTempDir } from '../support/temp-dir'
import { itWithTool, TOOL_ENV } from '../support/tool'

/** A command of the page, and what the page says that it prints. */
interface Recipe {
  readonly command: string
  readonly output: string
}

const RECIPES: readonly Recipe[] = Array.from(
  textOf('docs/shipping.md').matchAll(/```sh\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/g),
  ([, command = '', output = '']) => ({ command, output }),
)

/** Seven kinds of line that another program may have written into the log, each of them JSON but the first. */
const FOREIGN = [
  'plain text',
  '5',
  '"a string"',
  '[1,{"event":"exit"}]',
  'null',
  '{"level":30,"msg":"no event"}',
  '{"event":["exit"],"request_id":7}',
]

const usesLnav = ({ command }: Recipe) => command.startsWith('lnav ')
const readsRotated = ({ command }: Recipe) => command.includes('exec.log-*')

describe('the recipes of docs/shipping.md', () => {
  const dir = useTempDir()
  const itWithJq = itWithTool('jq')
  const itWithLnav = itWithTool('lnav', '-V')

  const run = (command: string, folder: string): string =>
    execFileSync('sh', ['-ec', command], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...TOOL_ENV, HOME: dir.path('home'), TZ: 'UTC', LC_ALL: 'C', TERM: 'dumb' },
    })

  const sample = async (): Promise<string> => {
    mkdirSync(dir.path('home'))
    await writeSampleLog(dir.path('exec.log'))
    return dir.path('.')
  }

  it('are all found', () => {
    expect(RECIPES.filter(usesLnav).length).toBe(1)
    expect(RECIPES.filter(readsRotated).length).toBe(1)
    expect(RECIPES.length).toBe(9)
  })

  itWithJq.each(RECIPES.filter((recipe) => !usesLnav(recipe) && !readsRotated(recipe)))(
    'print what the page shows: $command',
    async ({ command, output }) => {
      expect(run(command, await sample())).toBe(output)
    },
  )

  itWithJq.each(RECIPES.filter((recipe) => !usesLnav(recipe) && !readsRotated(recipe)))(
    'print the same of a log with lines of other programs: $command',
    async ({ command, output }) => {
      const folder = await sample()
      const lines = readFileSync(join(folder, 'exec.log'), 'utf8').split(/(?<=\n)/)
      const foreign = FOREIGN.map((line) => `${line}\n`)
      writeFileSync(join(folder, 'exec.log'), lines.flatMap((line) => [...foreign, line]).join(''))
      expect(run(command, folder)).toBe(output)
    },
  )

  itWithJq.each(RECIPES.filter(readsRotated))(
    'print what the page shows over rotated and compressed logs: $command',
    async ({ command, output }) => {
      const folder = await sample()
      const lines = readFileSync(join(folder, 'exec.log'), 'utf8').split(/(?<=\n)/)
      const part = (from: number, to?: number) => lines.slice(from, to).join('')
      writeFileSync(join(folder, 'exec.log-20261120-1795100000.gz'), gzipSync(part(0, 5)))
      writeFileSync(join(folder, 'exec.log-20261121-1795200000'), part(5, 12))
      writeFileSync(join(folder, 'exec.log'), part(12))
      expect(run(command, folder)).toBe(output)
    },
  )

  itWithLnav.each(RECIPES.filter(usesLnav))(
    'print what the page shows once lnav has the format: $command',
    async ({ command, output }) => {
      const folder = await sample()
      run(`lnav -i ${join(SHIPPING, 'lnav-format.json')}`, folder)
      expect(run(command, folder)).toBe(output)
    },
  )

  itWithLnav('need a format that lnav accepts, with a level for every event', async () => {
    const folder = await sample()
    mkdirSync(dir.path('config/formats/exec-audit'), { recursive: true })
    const format = shipped('lnav-format.json')
    writeFileSync(dir.path('config/formats/exec-audit/format.json'), format)
    expect(run(`lnav -W -C -I ${dir.path('config')} 2>&1`, folder)).toBe('')

    const query =
      'SELECT log_level, event, count(*) AS n FROM exec_audit GROUP BY log_level, event ORDER BY log_level, event'
    const lnav = `lnav -n -q -I ${dir.path('config')}`
    expect(run(`${lnav} -c ';${query}' -c ':write-csv-to -' exec.log`, folder)).toBe(
      [
        'log_level,event,n',
        'info,exit,1',
        'info,request,6',
        'info,started,4',
        'warning,denial,4',
        'warning,warning,1',
        'error,exit,3',
        // The blank line and the fragment.
        'invalid,<NULL>,2',
        '',
      ].join('\n'),
    )
    const one = `SELECT log_time, log_opid, code, argv FROM exec_audit WHERE event = 'request' LIMIT 1`
    expect(run(`${lnav} -c ";${one}" -c ':write-json-to -' exec.log`, folder)).toBe(
      `${JSON.stringify(
        [
          {
            log_time: '2026-11-22 03:00:01.234',
            log_opid: '00000000000000000000000000000001',
            code: null,
            argv: ['ls', '-la'],
          },
        ],
        undefined,
        4,
      )}\n`,
    )
  })
})
