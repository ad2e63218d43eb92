import { type Command, Option } from 'commander'
import { formatPlain } from '../../toolkit/chart/chart'
import { type Paint, painter } from '../../toolkit/text/colour'
import { cutToWidth, terminalWidth, textWidth, wrapText } from '../../toolkit/text/width'
import { logOption, logsInOrder, wholeNumber } from '../shared/arguments'
import { ByteProgress } from '../shared/byte-progress'
import { EXIT_FAIL, EXIT_PASS, EXIT_UNSURE } from '../shared/errors'
import { visible } from '../shared/escape'
import { formatJson } from '../shared/json'
import { inputFiles, totalBytes } from '../shared/log-files'
import { DEFAULT_LOG } from '../shared/log-input'
import { type VerifyFinding, type VerifyReport, verify } from '../shared/verification/verify'

interface CommandOptions {
  readonly maxProblems: number
  readonly fromStart?: true
  readonly allowTorn?: true
  readonly json?: true
  readonly log?: readonly string[]
}

const MAX_PROBLEMS = 20
const MAX_PROBLEMS_LIMIT = 1_000_000
const EXIT_CODES = { good: EXIT_PASS, broken: EXIT_FAIL, unsure: EXIT_UNSURE } as const
const COLORS = { good: 'green', broken: 'red', unsure: 'yellow' } as const
const WORDS = { good: 'GOOD', broken: 'BROKEN', unsure: 'CANNOT TELL' } as const
const MB = 1e6
/** From which on the rate is the log's, and not that of the start of it. */
const SPEED_BYTES_MIN = 10 * MB

const EXAMPLES = `
Examples:
  $ x0x-exec-audit verify /var/log/gateway/exec.log
  $ x0x-exec-audit verify /var/log/gateway/exec.log*
  $ zstdcat old/*.zst | x0x-exec-audit verify --from-start -

Places are FILE:LINE:BYTE. Default FILE: ${DEFAULT_LOG}
Several files are one log: those of one rotation (exec.log*) are read the oldest first, others as they
are given. Each line must be, byte for byte, one that the writer writes. The events of a request must come
in order: first its request, then its started, then its warnings and its exit; or else its denial.

Exit codes: 0 good, 1 broken, 2 a mistake in the command line or a file that cannot be read,
3 cannot tell: an event's request may stand in an older file, or the last line is not whole yet.`

export function configure(command: Command): void {
  command
    .description(
      "Checks each line of a log and the order of each request's events, in constant memory, and says where and why the log is broken.",
    )
    .argument('[file...]', 'the files of one log; - for standard input')
    .addOption(logOption())
    .addOption(
      new Option('--max-problems <n>', 'how many problems are shown; all are counted')
        .argParser(wholeNumber(0, MAX_PROBLEMS_LIMIT))
        .default(MAX_PROBLEMS),
    )
    .option('--from-start', 'the log began with the first file: no request is older')
    .option('--allow-torn', 'accept the fragments of lines that a crash has left')
    .option('--json', 'print the report as JSON and nothing else')
    .addHelpText('after', EXAMPLES)
    .action(async (files: readonly string[], options: CommandOptions) => {
      process.exitCode = await run(logsInOrder(files, options.log), options)
    })
}

async function run(names: readonly string[], options: CommandOptions): Promise<number> {
  const files = inputFiles(names)
  const progress = new ByteProgress(totalBytes(files))
  const startMs = performance.now()
  const { fromStart = false, allowTorn = false, maxProblems, json } = options
  let report: VerifyReport
  try {
    report = await verify(files, {
      isWhole: fromStart,
      allowsTorn: allowTorn,
      maxProblems,
      onBytes: (bytes) => progress.advance(bytes),
    })
  } finally {
    progress.stop()
  }
  const seconds = (performance.now() - startMs) / 1_000
  const megabytesPerSecond = report.bytes / MB / seconds
  process.stdout.write(
    json
      ? formatJson('verify', { ...report, seconds, megabytesPerSecond })
      : reportText(report, seconds, painter(process.stdout), terminalWidth(process.stdout)),
  )
  return EXIT_CODES[report.verdict]
}

/** The report in lines of this width; excerpts are cut to it. */
export function reportText(
  report: VerifyReport,
  seconds: number,
  paint: Paint,
  width: number,
): string {
  const { verdict, findings, broken, unsure } = report
  const all = broken + unsure
  const more = all - findings.length
  const sum = `${sizeText(report)}${reasonText(report)}`
  const column = WORDS[verdict].length + 2
  return [
    ...findings.map((finding) => findingText(finding, paint, width)),
    ...(more > 0 ? [`and ${plural(more, 'more problem')} (--max-problems shows more)`] : []),
    ...(all > 0 ? [''] : []),
    `${paint(['bold', COLORS[verdict]], WORDS[verdict])}  ${wrapText(sum, { width, column, indent: 2 })}`,
    ...notesOf(report).map((note) => `  ${wrapText(note, { width, column: 2, indent: 4 })}`),
    ...speedText(report, seconds).map((text) => paint('dim', `  ${text}`)),
    '',
  ].join('\n')
}

function sizeText({ lines, files, bytes }: VerifyReport): string {
  if (bytes > 0) return `${plural(lines, 'line')} of ${plural(files, 'file')}`
  return files === 1 ? 'the log is empty' : `all ${files} files are empty`
}

/** How fast it went; of a small log that would say nothing. */
function speedText({ bytes }: VerifyReport, seconds: number): string[] {
  if (bytes < SPEED_BYTES_MIN) return []
  const rate = `${formatPlain(bytes / MB / seconds)} MB/s`
  return [`${formatPlain(bytes / MB)} MB in ${formatPlain(seconds)} s, ${rate}`]
}

function findingText(finding: VerifyFinding, paint: Paint, width: number): string {
  const { file, line, offset, kind, verdict, message, excerpt } = finding
  const word = verdict === 'broken' ? kind : 'cannot tell'
  const place = `${visible(file)}:${line}:${offset}`
  const column = textWidth(`${place}: ${word}: `)
  const text = wrapText(visible(message), { width, column, indent: 2 })
  const cut = cutToWidth(visible(excerpt), width - 2)
  return `${paint('bold', place)}: ${paint(COLORS[verdict], word)}: ${text}\n  ${paint('dim', cut)}`
}

function reasonText({ byKind }: VerifyReport): string {
  const kinds = Object.entries(byKind).map(([kind, times]) => `${formatPlain(times)} ${kind}`)
  return kinds.length === 0 ? '' : `: ${kinds.join(', ')}`
}

/** Notes that are no faults, and yet worth knowing. */
function notesOf({ notes }: VerifyReport): string[] {
  const { duplicates, stepsBack, stepBackMsMax, openRequests, tornLines } = notes
  const told: readonly [times: number, text: string][] = [
    [openRequests, `${plural(openRequests, 'request')} without an end: still running, or lost`],
    [
      duplicates,
      `${plural(duplicates, 'line')} twice, as happens when a worker dies beside other writers`,
    ],
    [tornLines, `${plural(tornLines, 'torn line')}, which nobody has acknowledged`],
    [stepsBack, `the time goes back ${plural(stepsBack, 'time')}, by ${stepBackMsMax} ms at most`],
    [notes.blankLines, `${plural(notes.blankLines, 'blank line')}`],
    [
      notes.forgottenRequests,
      `${plural(notes.forgottenRequests, 'ended request')} forgotten: a second use of these ids is not seen`,
    ],
  ]
  return told.filter(([times]) => times > 0).map(([, text]) => text)
}

function plural(times: number, what: string): string {
  return `${times.toLocaleString('en-US')} ${what}${times === 1 ? '' : 's'}`
}
