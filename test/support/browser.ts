import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { TOOL_ENV } from './tool'
import { endsWithin, until } from './waiting'

/** How long a browser may take to end by itself. */
const ENDING_MS = 10_000

interface Result extends Record<string, unknown> {
  /** Of an expression. */
  readonly result?: { readonly value?: unknown }
}

interface Answer {
  readonly id?: number
  readonly method?: string
  readonly result?: Result
  readonly error?: { readonly message: string }
  readonly params?: unknown
}

/** A headless Chromium, spoken to over a pipe in its DevTools protocol: messages of JSON, a NUL after each. */
export class Browser {
  readonly #child: ChildProcess
  readonly #profile = mkdtempSync(join(tmpdir(), 'exec-audit-chromium-'))
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  readonly #input: Writable
  #session: string | undefined
  #id = 0
  /** What went wrong in the page: exceptions, and what its policy has blocked. */
  readonly problems: unknown[] = []

  constructor() {
    const options = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
    const profile = `--user-data-dir=${this.#profile}`
    this.#child = spawn('chromium', [...options, '--remote-debugging-pipe', profile], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      env: TOOL_ENV,
    })
    const [, , , input, output] = this.#child.stdio
    if (!(input instanceof Writable && output instanceof Readable)) throw new Error('no pipes')
    this.#input = input
    this.#read(output)
  }

  /** Opens a page of its own size. */
  async open(url: string, width: number, height: number): Promise<void> {
    this.#session = undefined
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' })
    const attached = await this.send('Target.attachToTarget', { targetId, flatten: true })
    this.#session = String(attached.sessionId)
    for (const domain of ['Page', 'Runtime', 'Log']) await this.send(`${domain}.enable`)
    const metrics = { width, height, deviceScaleFactor: 1, mobile: false }
    await this.send('Emulation.setDeviceMetricsOverride', metrics)
    await this.send('Page.navigate', { url })
    await this.evaluate(
      `new Promise((done) => document.readyState === 'complete' ? done() : addEventListener('load', done))`,
    )
  }

  async scheme(value: 'dark' | 'light'): Promise<void> {
    const features = [{ name: 'prefers-color-scheme', value }]
    await this.send('Emulation.setEmulatedMedia', { features })
  }

  /** The value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const asked = { expression, returnByValue: true, awaitPromise: true }
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', asked)
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
    return result?.value
  }

  /** Presses a key, as a user does. */
  async press(key: string, text?: string): Promise<void> {
    const codes: Readonly<Record<string, number>> = { Tab: 9, Enter: 13 }
    const windowsVirtualKeyCode = codes[key]
    const event = { key, code: key, text, windowsVirtualKeyCode }
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...event })
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', key, windowsVirtualKeyCode })
  }

  async screenshot(): Promise<Buffer> {
    const { data } = await this.send('Page.captureScreenshot', { captureBeyondViewport: true })
    return Buffer.from(String(data), 'base64')
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    // Killed, it would leave its other processes, which write to the profile for a moment.
    this.#session = undefined
    this.send('Browser.close').catch(() => undefined)
    if ((await endsWithin(ended, ENDING_MS)) !== 'ended') this.#child.kill('SIGKILL')
    await ended
    await until('its profile is still written to', () => isRemoved(this.#profile))
  }

  async send(method: string, params: object = {}): Promise<Result> {
    const id = ++this.#id
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve))
    const sessionId = this.#session
    this.#input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    const { result = {}, error } = await answered
    if (error !== undefined) throw new Error(`${method}: ${error.message}`)
    return result
  }

  #read(output: Readable): void {
    let rest = ''
    output.setEncoding('utf8').on('data', (text: string) => {
      const messages = `${rest}${text}`.split('\0')
      rest = messages.pop() ?? ''
      for (const message of messages) this.#take(JSON.parse(message))
    })
  }

  #take(answer: Answer): void {
    const { id, method, params } = answer
    if (id !== undefined) this.#waiting.get(id)?.(answer)
    else if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded') {
      this.problems.push(params)
    }
  }
}

/** False if something came into the folder meanwhile. */
function isRemoved(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true })
    return true
  } catch {
    return false
  }
}
