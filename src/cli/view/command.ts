import { once } from 'node:events'
import type { FileHandle } from 'node:fs/promises'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { EVENT_NAMES, type EventName } from '../../format/events'
import type { AuditRecord } from '../../format/records'
import { followBatches } from '../../reader/follow-audit'
import type { LineEntry } from '../../reader/line-splitter'
import type { PathChange } from '../../reader/path-watch'
import { compressorOfFile } from '../../rotation/compressed'
import { painter } from '../../toolkit/text/colour'
import { WHEN_FORMS } from '../../toolkit/text/time'
import { terminalWidth } from '../../toolkit/text/width'
import {
  checkSpan,
  hexPrefix,
  logOption,
  logsInOrder,
  when,
  wholeNumber,
} from '../shared/arguments'
import { CliError, EXIT_PASS, messageOf, usageError } from '../shared/errors'
import { matches, PartyMemory } from '../shared/filter'
import { FollowNotes } from '../shared/follow-notes'
import {
  DEFAULT_LOG,
  fileName,
  hasEnd,
  openLog,
  ProblemTeller,
  readBetween,
  readError,
  readFrom,
  readLog,
  readOpen,
  STDIN,
  startOfLast,
} from '../shared/log-input'
import { FORMATS, type Format, type Shown, ViewOutput } from './output'

interface ViewOptions {
  readonly follow?: true
  readonly lines?: number
  readonly since?: number
  readonly until?: number
  readonly event?: readonly EventName[]
  readonly agent?: string
  readonly machine?: string
  readonly request?: string
  readonly denied?: true
  readonly failed?: true
  readonly grep?: string
  readonly ignoreCase?: true
  readonly output: Format
  readonly json?: true
  readonly log?: readonly string[]
  readonly wide?: true
  readonly utc?: true
}

/** How many of the events that are there already `--follow` shows, as `tail -f` does. */
const FOLLOW_LINES = 10

/** How far before the events of a tail their requests are looked for. */
const LOOK_BACK_BYTES = 4 * 2 ** 20

const EXAMPLES = `
FILE is a log, or one that gzip has compressed, or - for standard input. Those of one rotation
(exec.log*) are shown the oldest first, others one after the other as they are given. Default: ${DEFAULT_LOG}

All filters that are given must match. started, warning and exit events carry no agent: they have that
of their request, which is remembered for the last 65,536 requests read; -n and -f without --agent and
--machine look for it in the 4 MiB before the events that they show, and print - if it is older.
Times are local unless they end in Z or an offset:
${WHEN_FORMS}.

In pretty, json, jsonl and csv, characters that could move, colour or reorder a terminal's text are shown
as escapes; raw prints the lines as they are. csv puts a ' before text that a spreadsheet would run.
Lines that are no event are reported on standard error as FILE:LINE:BYTE, and counted at the end.

Examples:
  $ x0x-exec-audit view -f /var/log/gateway/exec.log
  $ x0x-exec-audit view --since 2h --failed exec.log*
  $ x0x-exec-audit view --denied --agent a1b2 -o jsonl exec.log | jq .argv
  $ ssh gateway cat exec.log | x0x-exec-audit view --grep 'rm -rf' -

Exit codes: 0 done, also when nothing was found; 2 a mistake in the command line, or a file that cannot
be read.`

export function configure(command: Command): void {
  const hex = (digits: number) => (text: string) => hexPrefix(text, digits)
  command
    .description('Shows the events of a log, one line each.')
    .argument('[file...]', 'the logs to read')
    .addOption(logOption())
    .option('-f, --follow', 'go on as events are appended, over rotation, until interrupted')
    .addOption(
      new Option('-n, --lines <n>', 'only the last n of the events asked for').argParser(
        wholeNumber(0),
      ),
    )
    .addOption(new Option('--since <when>', 'events from this time on').argParser(when))
    .addOption(new Option('--until <when>', 'events up to this time').argParser(when))
    .addOption(
      new Option(
        '--event <names>',
        `only these, separated by commas: ${EVENT_NAMES.join(', ')}`,
      ).argParser(eventNames),
    )
    .addOption(new Option('--agent <hex>', "the agent id's first digits").argParser(hex(64)))
    .addOption(new Option('--machine <hex>', "the machine id's first digits").argParser(hex(64)))
    .addOption(new Option('--request <hex>', "the request id's first digits").argParser(hex(32)))
    .option('--denied', 'only denials')
    .option('--failed', 'only exits with a code other than 0 or by a signal, and failed spawns')
    .option('--grep <regex>', 'only events whose line, or whose arguments, this is found in')
    .option('-i, --ignore-case', 'for --grep: ignore the case of letters')
    .addOption(
      new Option('-o, --output <format>', 'how to print').choices(FORMATS).default('pretty'),
    )
    .addOption(
      new Option('--json', 'print one JSON document and nothing else, as -o json').conflicts(
        'output',
      ),
    )
    .option('-w, --wide', "fold lines at the terminal's width instead of cutting them")
    .option('--utc', 'show times in UTC')
    .addHelpText('after', EXAMPLES)
    .action(async (files: readonly string[], options: ViewOptions) => {
      const output = options.json ? 'json' : options.output
      const view = new View(logsInOrder(files, options.log), { ...options, output })
      process.exitCode = await view.run()
    })
}

function eventNames(text: string): readonly EventName[] {
  return text.split(',').map((name) => {
    const known = EVENT_NAMES.find((event) => event === name)
    if (known !== undefined) return known
    throw new InvalidArgumentError(`Expected some of ${EVENT_NAMES.join(', ')}.`)
  })
}

function pattern({ grep, ignoreCase }: ViewOptions): RegExp | undefined {
  if (grep === undefined) return undefined
  try {
    return new RegExp(grep, ignoreCase ? 'iu' : 'u')
  } catch (thrown) {
    throw usageError(`--grep: ${messageOf(thrown)}`)
  }
}

class View {
  readonly #files: readonly string[]
  readonly #options: ViewOptions
  readonly #asked: Parameters<typeof matches>[3]
  readonly #parties = new PartyMemory()
  readonly #problems = new ProblemTeller()
  readonly #output: ViewOutput
  /** The last events so far, for `--lines` with a file whose end cannot be found. */
  #kept: Shown[] = []

  constructor(files: readonly string[], options: ViewOptions) {
    this.#files = files.length === 0 ? [DEFAULT_LOG] : files
    this.#options = options
    this.#asked = { ...options, grep: pattern(options) }
    const { stdout } = process
    const style = {
      paint: painter(stdout),
      /** Asked for each line: the window may be another one by then. */
      get width() {
        return terminalWidth(stdout)
      },
      isFolded: options.wide === true,
      isUtc: options.utc === true,
    }
    this.#output = new ViewOutput(options.output, style, writeOut)
  }

  async run(): Promise<number> {
    this.#check()
    await this.#output.begin()
    let failure: CliError | undefined
    if (this.#options.follow) await this.#follow()
    else failure = await this.#readAll()
    await this.#output.end()
    this.#problems.sum()
    if (failure !== undefined) throw failure
    return EXIT_PASS
  }

  #check(): void {
    const { follow, output, since, until } = this.#options
    checkSpan(since, until)
    if (!follow) return
    if (this.#files.length > 1) throw usageError('--follow takes one file')
    if (this.#files[0] === STDIN)
      throw usageError('--follow takes a file; - is read to its end anyway')
    if (output === 'json') throw usageError('--follow never ends a json document; take -o jsonl')
  }

  /** Reads one file after the other; reports one that cannot be read, and reads the others. */
  async #readAll(): Promise<CliError | undefined> {
    const { lines } = this.#options
    let failure: CliError | undefined
    for (const file of this.#files) {
      try {
        if (lines !== undefined && this.#files.length === 1) await this.#readLast(file, lines)
        else await this.#showAll(file, readLog(file))
      } catch (thrown) {
        if (!(thrown instanceof CliError)) throw thrown
        if (failure !== undefined) process.stderr.write(`x0x-exec-audit: ${failure.message}\n`)
        failure = thrown
      }
    }
    await this.#output.show(this.#kept)
    return failure
  }

  async #readLast(file: string, lines: number): Promise<void> {
    if (file === STDIN) return this.#showAll(file, readLog(file))
    const handle = await openLog(file)
    try {
      if (!(await hasEnd(handle))) return await this.#showAll(file, readOpen(file, handle))
      const { size } = await handle.stat()
      const start = await this.#startOfLast(handle, size, lines)
      await this.#showAll(file, readFrom(handle, start), start, false)
    } finally {
      await handle.close()
    }
  }

  async #follow(): Promise<void> {
    const [file = DEFAULT_LOG] = this.#files
    const compressor = await compressorOfFile(file).catch((thrown: unknown) => {
      throw readError(file, thrown)
    })
    if (compressor !== undefined) {
      const compressed = `${fileName(file)} is compressed by ${compressor.name}`
      throw usageError(`--follow: ${compressed}, nothing is appended to it`)
    }
    const { since, lines = since === undefined ? FOLLOW_LINES : undefined } = this.#options
    let start = 0
    const from = async (handle: FileHandle, size: number) => {
      start = lines === undefined ? 0 : await this.#startOfLast(handle, size, lines)
      return start
    }
    const changes = new FollowNotes(file)
    const onChange = (change: PathChange) => {
      if (change === 'rotated' || change === 'truncated') start = 0
      changes.tell(change)
    }
    try {
      for await (const entries of followBatches(file, { from, onChange })) {
        changes.read()
        await this.#show(file, entries, start === 0, false)
        this.#problems.rest()
      }
    } catch (thrown) {
      throw readError(file, thrown)
    }
  }

  async #startOfLast(handle: FileHandle, size: number, count: number): Promise<number> {
    const { agent, machine } = this.#options
    const isWanted = (record: AuditRecord, text: string) =>
      this.#isAsked(record, text) !== undefined
    const isByParty = agent !== undefined || machine !== undefined
    const start = await startOfLast(handle, size, count, isWanted, isByParty)
    if (!isByParty) await this.#rememberBefore(handle, start)
    return start
  }

  /** The requests of the events that are about to be shown may stand shortly before them. */
  async #rememberBefore(handle: FileHandle, end: number): Promise<void> {
    const start = Math.max(0, end - LOOK_BACK_BYTES)
    for await (const entries of readBetween(handle, start, end)) {
      for (const { record } of entries) if (record !== undefined) this.#parties.of(record)
    }
  }

  async #showAll(
    file: string,
    batches: AsyncIterable<readonly LineEntry[]>,
    start = 0,
    isKept = this.#options.lines !== undefined,
  ): Promise<void> {
    for await (const entries of batches) await this.#show(file, entries, start === 0, isKept)
  }

  async #show(
    file: string,
    entries: readonly LineEntry[],
    isLineKnown: boolean,
    isKept: boolean,
  ): Promise<void> {
    let shown: Shown[] = []
    for (const { record, problem, text } of entries) {
      if (record === undefined) {
        if (this.#problems.shows && !isKept) {
          // In a log of both streams it then stands where it belongs.
          await this.#output.show(shown)
          shown = []
        }
        this.#problems.tell(file, problem, isLineKnown)
        this.#output.note(file, problem)
        continue
      }
      const asked = this.#isAsked(record, text)
      if (asked !== undefined) shown.push({ ...asked, record, text, file, isLineKnown })
    }
    if (isKept) this.#keep(shown)
    else await this.#output.show(shown)
  }

  #isAsked(record: AuditRecord, text: string): Pick<Shown, 'parties'> | undefined {
    const parties = this.#parties.of(record)
    return matches(record, text, parties, this.#asked) ? { parties } : undefined
  }

  #keep(shown: readonly Shown[]): void {
    const { lines = 0 } = this.#options
    this.#kept.push(...shown)
    if (this.#kept.length > lines) this.#kept = this.#kept.slice(this.#kept.length - lines)
  }
}

async function writeOut(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}
