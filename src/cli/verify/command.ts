import { type Command, Option } from 'commander'
import { formatPlain } from '../../toolkit/chart/chart'
import { type Paint, painter } from '../../toolkit/text/colour'
import { formatDuration } from '../../toolkit/text/time'
import { cutToWidth, terminalWidth, textWidth, wrapText } from '../../toolkit/text/width'
import { logOption, logsInOrder, wholeNumber } from '../shared/arguments'
import { ByteProgress } from '../shared/byte-progress'
import { EXIT_FAIL, EXIT_PASS, EXIT_UNSURE } from '../shared/errors'
import { visible } from '../shared/escape'
import { helpText } from '../shared/help-text'
import { formatJson } from '../shared/json'
import { inputFiles, totalBytes } from '../shared/log-files'
import { DEFAULT_LOG } from '../shared/log-input'
import { type VerifyFinding, type VerifyReport, verify } from '../shared/verification/verify'
import { withKeptCheckpoint } from './kept-checkpoint'
import { checkSeal, jsonOf, outcomeText, type SealOutcome } from './seal-check'
import { addSealOptions, type SealCommandOptions, sealOptionsOf } from './seal-options'

interface CommandOptions extends SealCommandOptions {
  readonly maxProblems: number
  readonly allowTorn?: true
  readonly json?: true
  readonly log?: readonly string[]
}

const MAX_PROBLEMS = 20
const MAX_PROBLEMS_LIMIT = 1_000_000
const EXIT_CODES = { good: EXIT_PASS, broken: EXIT_FAIL, unsure: EXIT_UNSURE } as const
const VERDICTS = { [EXIT_PASS]: 'good', [EXIT_FAIL]: 'broken', [EXIT_UNSURE]: 'unsure' } as const
const COLORS = { good: 'green', broken: 'red', unsure: 'yellow' } as const
const WORDS = { good: 'GOOD', broken: 'BROKEN', unsure: 'CANNOT TELL' } as const
/** What a part of the whole contributes to the verdict. */
const PARTS = { good: 'is good', broken: 'is broken', unsure: 'cannot be told' } as const
const MB = 1e6
/** From which on the rate is the log's, and not that of the start of it. */
const SPEED_BYTES_MIN = 10 * MB

const EXAMPLES = `
Examples:
  $ x0x-exec-audit verify /var/log/gateway/exec.log
  $ x0x-exec-audit verify /var/log/gateway/exec.log*
  $ zstdcat old/*.zst | x0x-exec-audit verify --from-start -

Places are FILE:LINE:BYTE. Default FILE: ${DEFAULT_LOG}.
Several files are one log: those of one rotation (exec.log*) are read the oldest first, others as they
are given.

Each line must be, byte for byte, one that the writer writes. The events of a request must come
in order: first its request, then its started, then its warnings and its exit; or else its denial.

With --seal the log is also compared with its seal, line by line (docs/seal.md): what was changed, removed,
inserted, swapped, cut off or added later is named.
  $ x0x-exec-audit verify exec.log* --seal /var/lib/x0x-seal/exec --key gw1.example.com/exec+1f2e3d4c+AX…
  $ x0x-exec-audit verify exec.log* --seal DIR --key VKEY --prove REQUEST --out proofs

Exit codes: 0 good, 1 broken, 2 a mistake in the command line or a file that cannot be read,
3 cannot tell: an event's request may stand in an older file, the last line is not whole yet, or lines wait
for the sealer.`

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
  addSealOptions(command)
  command
    .addHelpText('after', helpText(EXAMPLES))
    .action(async (files: readonly string[], options: CommandOptions) => {
      process.exitCode = await run(logsInOrder(files, options.log), options)
    })
}

async function run(named: readonly string[], options: CommandOptions): Promise<number> {
  const names = named.length === 0 ? [DEFAULT_LOG] : named
  const files = inputFiles(names)
  const given = sealOptionsOf(names, options)
  const sealOptions = given && (await withKeptCheckpoint(given, options.stream))
  const passes = sealOptions === undefined ? 1 : 2
  const progress = new ByteProgress(totalBytes(files) * passes)
  const startMs = performance.now()
  const { fromStart = false, allowTorn = false, maxProblems, json } = options
  let report: VerifyReport
  let seal: SealOutcome | undefined
  try {
    report = await verify(files, {
      isWhole: fromStart,
      allowsTorn: allowTorn,
      // Which of them may be is the seal's to say.
      allowsErased: sealOptions !== undefined,
      maxProblems,
      onBytes: (bytes) => progress.advance(bytes),
    })
    if (sealOptions !== undefined) {
      const onBytes = (bytes: number) => progress.advance(bytes)
      const { prove, out } = options
      seal = await checkSeal(
        names,
        { ...sealOptions, maxFindings: maxProblems, onBytes },
        prove,
        out,
      )
    }
  } finally {
    progress.stop()
  }
  const seconds = (performance.now() - startMs) / 1_000
  const megabytesPerSecond = report.bytes / MB / seconds
  const [paint, width] = [painter(process.stdout), terminalWidth(process.stdout)]
  const exitCode = exitCodeOf(report, seal)
  const verdict = VERDICTS[exitCode]
  const logVerdict = seal === undefined ? {} : { logVerdict: report.verdict }
  const text = json
    ? formatJson('verify', {
        ...{ ...report, verdict, ...logVerdict, seconds, megabytesPerSecond },
        ...jsonOf(seal),
      })
    : reportText(report, seconds, paint, width) + outcomeText(seal, paint, width)
  process.stdout.write(text)
  if (seal !== undefined && !json) {
    process.stdout.write(verdictText(report, seal, verdict, paint))
  }
  return exitCode
}

/** 1 beats 3, and 3 beats 0. */
function exitCodeOf(
  { verdict }: VerifyReport,
  seal: SealOutcome | undefined,
): keyof typeof VERDICTS {
  const codes: (keyof typeof VERDICTS)[] = [EXIT_CODES[verdict]]
  if (seal !== undefined) codes.push(EXIT_CODES[seal.report.verdict])
  // What was to be proved and is not there, or not sealed.
  const proved = seal?.lines
  if (proved !== undefined && !proved.some(({ proof }) => proof !== null)) codes.push(EXIT_FAIL)
  if (codes.includes(EXIT_FAIL)) return EXIT_FAIL
  return codes.includes(EXIT_UNSURE) ? EXIT_UNSURE : EXIT_PASS
}

/** The verdict on log and seal together, which the exit code has, too. */
function verdictText(
  report: VerifyReport,
  { report: sealed, lines }: SealOutcome,
  verdict: (typeof VERDICTS)[keyof typeof VERDICTS],
  paint: Paint,
): string {
  const parts = [`the log ${PARTS[report.verdict]}`, `the seal ${PARTS[sealed.verdict]}`]
  const isUnproved = lines !== undefined && !lines.some(({ proof }) => proof !== null)
  if (isUnproved) parts.push('nothing is proved')
  return `\n${paint(['bold', COLORS[verdict]], WORDS[verdict])}  in all: ${parts.join(', ')}\n`
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
    [
      stepsBack,
      `the time goes back ${plural(stepsBack, 'time')}, by ${formatDuration(stepBackMsMax)} at most`,
    ],
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
