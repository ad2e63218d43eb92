import { formatTable } from '../cli/table'
import type { Paint } from '../cli/terminal'
import { textBars, textChart } from '../plot/text'
import {
  diskLine,
  machineLine,
  mostChart,
  percentileChart,
  rateChart,
  rawCells,
  TABLE_NOTE,
  type TuneReport,
  trialCells,
} from './report'
import { formatMs, percentileName } from './slo'

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

function verdictText({ verdict, slo, rate, options }: TuneReport, paint: Paint): string {
  const asked = `${percentileName(slo.percentile)} within ${formatMs(slo.ms)} at ${rate.toLocaleString('en-US')}/s`
  const word = verdict.pass ? paint(['bold', 'green'], 'PASS') : paint(['bold', 'red'], 'FAIL')
  return [`${word}  ${asked}`, verdict.reason, verdict.headRoom, '', options].join('\n')
}
