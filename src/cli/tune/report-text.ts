import { textBars, textChart } from '../../toolkit/chart/text'
import type { Paint } from '../../toolkit/text/colour'
import { formatTable } from '../../toolkit/text/table'
import {
  askedText,
  diskLine,
  machineLine,
  mostChart,
  percentileChart,
  rateChart,
  rawCells,
  TABLE_NOTE,
  type TuneReport,
  trialCells,
  verdictWord,
} from './report'

/** The report for a terminal. */
export function reportText(report: TuneReport, paint: Paint): string {
  const { machine, disk, warnings, rate, eventBytes } = report
  const raw = rawCells(report)
  const trials = trialCells(report)
  const load = `${rate.toLocaleString('en-US')} events/s of ${eventBytes} B`
  return [
    `${paint('bold', 'Machine')}  ${machineLine(machine)}`,
    `${paint('bold', 'Disk')}     ${diskLine(disk)}`,
    `${paint('bold', 'Load')}     ${load}`,
    ...warnings.map((text) => paint('yellow', `Warning: ${text}`)),
    '',
    formatTable(raw.head, raw.rows, paint),
    '',
    formatTable(trials.head, trials.rows, paint, 2),
    paint('dim', TABLE_NOTE),
    '',
    textChart(percentileChart(report)),
    '',
    textChart(rateChart(report)),
    '',
    textBars(mostChart(report)),
    '',
    verdictText(report, paint),
    '',
  ].join('\n')
}

const COLORS = { PASS: 'green', FAIL: 'red', UNCLEAR: 'yellow' } as const

function verdictText(report: TuneReport, paint: Paint): string {
  const { verdict, options } = report
  const word = verdictWord(verdict)
  const lines = [
    `${paint(['bold', COLORS[word]], word)}  ${askedText(report)}`,
    verdict.reason,
    verdict.headRoom,
  ]
  // A run that was disturbed recommends nothing.
  return [...lines, ...(verdict.disturbed ? [] : ['', options])].join('\n')
}
