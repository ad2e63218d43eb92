import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Browser } from '../../support/browser'
import { runCli } from '../../support/cli'
import { AGENT_ID } from '../../support/events'
import { useTempDir } from '../../support/temp-dir'
import { itWithTool } from '../../support/tool'
import { lineText } from '../../support/verified'

const T0 = Date.parse('2026-11-23T10:00:00Z')
const HOSTILE =
  '</script><script>globalThis.broken = 1</script><img src=x onerror="globalThis.broken = 1">'
const id = (n: number) => n.toString(16).padStart(32, '0')

/** A day of commands, some of them denied, killed or open, and one that attacks the page. */
function logText(): string {
  const lines = Array.from({ length: 300 }, (_, n) => {
    const ms = T0 + n * 240_000
    const asked = { argv: ['make', `job-${n}`], context: { principal: `user:${n % 7}` } }
    if (n % 10 === 3)
      return [lineText('denial', id(n), ms, { ...asked, reason: 'argv_not_allowed' })]
    const begun = [lineText('request', id(n), ms, asked), lineText('started', id(n), ms + 1)]
    if (n % 50 === 7) return begun
    const code = n % 9 === 0 ? 1 : 0
    return [...begun, lineText('exit', id(n), ms + 2 + n * 10, { code, duration_ms: n * 10 })]
  })
  const hostile = { argv: [HOSTILE, '\u001b[31m\u202e'], context: { principal: HOSTILE } }
  const last = lineText('denial', id(999), T0 + 86_400_000, {
    ...hostile,
    reason: 'argv_not_allowed',
  })
  return `${[...lines.flat(), 'no event', last].join('\n')}\n`
}

describe('the page of stats', () => {
  const dir = useTempDir()
  const itWithChromium = itWithTool('chromium')

  const page = async () => {
    const [log, file] = [dir.path('exec.log'), dir.path('page.html')]
    writeFileSync(log, logText())
    const end = await runCli(['stats', '--utc', '--html', file, log])
    expect([end.code, end.stdout]).toEqual([0, ''])
    expect(end.stderr).toContain(`x0x-exec-audit: ${file} shows ${log}\n`)
    return file
  }

  it('is one file whose data cannot become markup', async () => {
    const html = readFileSync(await page(), 'utf8')
    expect(html.match(/<script/g)).toHaveLength(2)
    expect(html.match(/<img|https?:(?!\/\/www\.w3\.org\/2000\/svg)/g)).toBeNull()
    expect(html).not.toContain('innerHTML')
    expect(html).toMatch(
      /content="default-src 'none'; base-uri 'none'; form-action 'none'; script-src 'sha256-\S+'; style-src 'sha256-\S+'"/,
    )
  })

  it('takes no place of what may have been meant as the log, if none is named', async () => {
    const log = dir.path('exec.log')
    writeFileSync(log, logText())
    expect(await runCli(['stats', '--html', log])).toEqual({
      ...{ code: 2, stdout: '' },
      stderr: `x0x-exec-audit: --html: ${log} is there, and no page of this command; name the page, and then the log (--help shows the usage)\n`,
    })
    expect(readFileSync(log, 'utf8')).toBe(logText())
  })

  it('takes no place of a log', async () => {
    const log = dir.path('exec.log')
    writeFileSync(log, logText())
    expect(await runCli(['stats', '--html', log, log])).toEqual({
      code: 2,
      stdout: '',
      stderr: `x0x-exec-audit: --html: ${log} is the log, which it would overwrite; name another file (--help shows the usage)\n`,
    })
    expect(readFileSync(log, 'utf8')).toBe(logText())
  })

  itWithChromium(
    'shows the log without a fault, and filters and sorts by the keyboard',
    async () => {
      const browser = new Browser()
      try {
        const url = pathToFileURL(await page()).href
        await browser.open(url, 1_200, 900)
        const text = (selector: string) =>
          browser.evaluate(`document.querySelector(${JSON.stringify(selector)}).textContent`)
        const cells = (column: number) =>
          browser.evaluate(
            `[...document.querySelectorAll('#commands tbody tr')].slice(0, 3).map((row) => row.cells[${column}].textContent)`,
          )
        expect(await text('.verdict')).toBe('BROKEN')
        expect(await text('h2:has(+ #filter)')).toBe('Commands')
        expect(await text('#shown')).toBe('200 of 301 that match are shown')
        const [attack] = (await cells(5)) as string[]
        expect(attack).toBe(`'${HOSTILE}' $'\\x1b[31m\\u202e'  (argv_not_allowed)`)
        expect(await cells(1)).toEqual([HOSTILE, 'user:5', 'user:4'])

        await browser.evaluate(`document.getElementById('filter').focus()`)
        for (const key of 'job-29 user:4') await browser.press(key, key)
        expect(await text('#shown')).toBe('2 of 2 that match are shown')
        expect(await cells(5)).toEqual(['make job-298', 'make job-291'])
        // The fourth heading is the duration.
        for (const _ of [1, 2, 3, 4]) await browser.press('Tab')
        await browser.press('Enter', '\r')
        expect(await cells(3)).toEqual(['2.910 s', '2.980 s'])
        expect(await browser.evaluate(`document.activeElement.closest('th').ariaSort`)).toBe(
          'ascending',
        )
        await browser.press('Enter', '\r')
        expect(await cells(3)).toEqual(['2.980 s', '2.910 s'])

        const overflow = `document.documentElement.scrollWidth - document.documentElement.clientWidth`
        for (const width of [1_200, 420]) {
          for (const scheme of ['light', 'dark'] as const) {
            await browser.open(url, width, 900)
            await browser.scheme(scheme)
            expect(await browser.evaluate(overflow)).toBe(0)
            const shots = process.env.SCREENSHOTS
            if (shots !== undefined) {
              writeFileSync(join(shots, `page-${width}-${scheme}.png`), await browser.screenshot())
            }
          }
        }
        expect(await browser.evaluate('globalThis.broken')).toBeUndefined()
        expect(browser.problems).toEqual([])
      } finally {
        await browser.close()
      }
    },
  )

  it('shows who was denied by the names of the operator', async () => {
    const [log, file, names] = ['exec.log', 'page.html', 'names'].map((name) => dir.path(name))
    writeFileSync(log ?? '', logText())
    writeFileSync(names ?? '', `# ours\n${AGENT_ID} build bot\n`)
    await runCli(['stats', '--html', file ?? '', '--names', names ?? '', log ?? ''])
    expect(readFileSync(file ?? '', 'utf8')).toContain(`"build bot (${AGENT_ID})"`)
  })
})
