import { type Command, InvalidArgumentError, Option } from 'commander'
import { EVENT_NAMES, type EventName } from '../../format/events'
import { type ColourChoice, painter } from '../../toolkit/text/colour'
import { WHEN_FORMS } from '../../toolkit/text/time'
import { terminalWidth } from '../../toolkit/text/width'
import { colorOption, logOption, logsInOrder, when, wholeNumber } from '../shared/arguments'
import { usageError } from '../shared/errors'
import {
  addFilterOptions,
  FILTER_HELP,
  type FilterOptions,
  filterOf,
} from '../shared/filter-options'
import { helpText } from '../shared/help-text'
import { DEFAULT_LOG } from '../shared/log-input'
import { type Names, NO_NAMES, namesOption } from '../shared/names'
import { OcsfSource } from './ocsf-source'
import { FORMATS, type Format, RowOutput } from './output'
import { CommandSource, EventSource, type RowSource } from './row-source'
import { View, type ViewTask, writeOut } from './view'

interface ViewOptions extends FilterOptions {
  readonly commands?: true
  readonly open?: true
  readonly follow?: true
  readonly lines?: number
  readonly reverse?: true
  readonly since?: number
  readonly until?: number
  readonly event?: readonly EventName[]
  readonly output: Format
  readonly json?: true
  readonly bom?: true
  readonly log?: readonly string[]
  readonly wide?: true
  readonly utc?: true
  readonly names?: Names
  readonly color: ColourChoice
}

const EXAMPLES = `
FILE is a log, or one that gzip has compressed, or - for standard input. Those of one rotation
(exec.log*) are shown the oldest first, others one after the other as they are given. Default: ${DEFAULT_LOG}

${FILTER_HELP}
started, warning and exit events say neither who asked nor for what: they have that of their request, which
is remembered for the last 65,536 requests read (512 characters of the arguments); -n, -f and --since,
unless they need it for a filter, look for it in the 4 MiB before the events that they show.

--commands puts the events of each command in one row, in the order of their requests: then --since and
--until are about these. A command that is repeated byte for byte, as after a worker's death, counts once.

Times are local unless they end in Z or an offset:
${WHEN_FORMS}.

In pretty, json, jsonl and csv, characters that could move, colour or reorder a terminal's text are shown
as escapes; raw prints the lines as they are; ocsf prints Process Activity of OCSF 1.9.0, a request and
its start as one Launch. csv puts a ' before text that a spreadsheet would run; --bom
has Excel read it as UTF-8. Lines that are no event are counted on standard error; verify shows them.

Examples:
  $ x0x-exec-audit view -f /var/log/gateway/exec.log
  $ x0x-exec-audit view --since 2h --failed exec.log*
  $ x0x-exec-audit view --commands --command curl --since 14:00 --until 15:00 exec.log
  $ x0x-exec-audit view --commands --longer 60s -o csv --bom exec.log* > long.csv
  $ x0x-exec-audit view --open exec.log*
  $ x0x-exec-audit view --denied --agent a1b2 -o jsonl exec.log | jq --ascii-output .argv
  $ ssh gateway cat exec.log | x0x-exec-audit view --grep 'rm -rf' -

Exit codes: 0 done, also when nothing was found; 2 a mistake in the command line, or a file that cannot
be read.`

export function configure(command: Command): void {
  command
    .description('Shows the events of a log, or its commands, one line each.')
    .argument('[file...]', 'the logs to read')
    .addOption(logOption())
    .option('-c, --commands', 'one line per command: time, who, duration, end, arguments')
    .option('--open', 'only commands without an end; means --commands')
    .option('-f, --follow', 'go on as events are appended, over rotation, until interrupted')
    .addOption(
      new Option('-n, --lines <n>', 'only the last n of those asked for').argParser(wholeNumber(0)),
    )
    .option('-r, --reverse', 'the newest first')
    .addOption(new Option('--since <when>', 'from this time on').argParser(when))
    .addOption(new Option('--until <when>', 'up to this time').argParser(when))
    .addOption(
      new Option(
        '--event <names>',
        `only these, separated by commas: ${EVENT_NAMES.join(', ')}`,
      ).argParser(eventNames),
    )
  addFilterOptions(command)
    .addOption(
      new Option('-o, --output <format>', 'how to print').choices(FORMATS).default('pretty'),
    )
    .addOption(
      new Option('--json', 'print one JSON document and nothing else, as -o json').conflicts(
        'output',
      ),
    )
    .option('--bom', 'begin CSV with a byte order mark, for Excel')
    .option('-w, --wide', "fold lines at the terminal's width instead of cutting them")
    .option('--utc', 'show times in UTC')
    .addOption(namesOption())
    .addOption(colorOption())
    .addHelpText('after', helpText(EXAMPLES))
    .action(async (files: readonly string[], options: ViewOptions) => {
      const logs = logsInOrder(files, options.log)
      process.exitCode = await run(logs.length === 0 ? [DEFAULT_LOG] : logs, options)
    })
}

function eventNames(text: string): readonly EventName[] {
  return text.split(',').map((name) => {
    const known = EVENT_NAMES.find((event) => event === name)
    if (known !== undefined) return known
    throw new InvalidArgumentError(`Expected some of ${EVENT_NAMES.join(', ')}.`)
  })
}

async function run(files: readonly string[], options: ViewOptions): Promise<number> {
  const { since, until, event, open, follow, lines, reverse, names = NO_NAMES } = options
  const filter = { ...filterOf(options), since, until, event }
  const task: ViewTask = { files, follow, lines, reverse, since, until }
  if (options.output === 'ocsf') {
    if (options.commands || open)
      throw usageError('-o ocsf has a form of its own; leave out --commands and --open')
    return show(new OcsfSource(filter, names), task, options)
  }
  if (!options.commands && !open) {
    return show(new EventSource(filter, names), task, options)
  }
  if (event !== undefined) throw usageError('--event chooses events; --commands puts them together')
  if (options.output === 'raw') throw usageError('-o raw prints lines; --commands has none')
  if (open && follow) throw usageError('--open waits for the end of the log; --follow has none')
  if (follow && lines !== undefined) {
    throw usageError('--follow with --commands shows those that end from now on; leave out --lines')
  }
  const source = new CommandSource(filter, { isOpen: open === true, isOrdered: !follow, names })
  return show(source, task, options)
}

async function show<Row>(
  source: RowSource<Row>,
  task: ViewTask,
  options: ViewOptions,
): Promise<number> {
  const format = options.json ? 'json' : options.output
  if (options.bom && format !== 'csv') throw usageError('--bom is for -o csv')
  if (task.follow && format === 'json') {
    throw usageError('--follow never ends a json document; take -o jsonl')
  }
  const { stdout } = process
  const style = {
    paint: painter(stdout, process.env, options.color),
    /** Asked for each line: the window may be another one by then. */
    get width() {
      return terminalWidth(stdout)
    },
    isFolded: options.wide === true,
    isUtc: options.utc === true,
  }
  const output = new RowOutput(
    source.kind,
    { format, style, hasBom: options.bom === true },
    writeOut,
  )
  return new View(source, output, task, style.isUtc).run()
}
