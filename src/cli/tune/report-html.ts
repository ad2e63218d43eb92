import { escapeMarkup, svgBars, svgChart } from '../../toolkit/chart/svg'
import {
  askedText,
  type Cells,
  diskLine,
  machineLine,
  mostChart,
  percentileChart,
  rateChart,
  rawCells,
  rawChart,
  TABLE_NOTE,
  type TuneReport,
  trialCells,
  verdictWord,
} from './report'

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; background: Canvas; color: CanvasText }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.85rem }
th, td { padding: 0.2rem 0.6rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
.scroll { overflow-x: auto }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem }
.pass { color: #080 } .fail { color: #c00 } .warning, .unclear { color: #b60 }
@media (prefers-color-scheme: dark) { .pass { color: #5d5 } .fail { color: #f66 } .warning, .unclear { color: #fb4 } }
pre { padding: 0.8rem; background: #8882; overflow-x: auto }
dt { font-weight: 600; float: left; width: 6rem } dd { margin: 0 0 0 6rem }
svg { width: 100%; height: auto }`

/** The report as one page that needs nothing else: no network, no script. */
export function reportHtml(report: TuneReport): string {
  const { machine, disk, rate, eventBytes, verdict, warnings, options } = report
  const word = verdictWord(verdict)
  const charts = [
    svgChart(percentileChart(report)),
    svgChart(rateChart(report)),
    svgBars(mostChart(report)),
    svgBars(rawChart(report)),
  ]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>x0x-exec-audit tune: ${word}</title>
<style>${STYLE}
</style>
</head>
<body>
<h1><span class="${word.toLowerCase()}">${word}</span> ${escapeMarkup(askedText(report))}</h1>
<p>${escapeMarkup(verdict.reason)}</p>
<p>${escapeMarkup(verdict.headRoom)}</p>
${verdict.disturbed ? '' : `<pre>${escapeMarkup(options)}</pre>`}
${warnings.map((text) => `<p class="warning">Warning: ${escapeMarkup(text)}</p>`).join('\n')}
<dl>
<dt>Machine</dt><dd>${escapeMarkup(machineLine(machine))}</dd>
<dt>Disk</dt><dd>${escapeMarkup(diskLine(disk))}</dd>
<dt>Load</dt><dd>${escapeMarkup(`${rate.toLocaleString('en-US')} events/s of ${eventBytes} B`)}</dd>
</dl>
<div class="charts">
${charts.map((chart) => `<div>${chart}</div>`).join('\n')}
</div>
<h2>The disk alone</h2>
${htmlTable(rawCells(report))}
<h2>The writer</h2>
${htmlTable(trialCells(report))}
<p>${escapeMarkup(TABLE_NOTE)}</p>
</body>
</html>
`
}

function htmlTable({ head, rows }: Cells): string {
  const row = (cells: readonly string[], tag: 'th' | 'td') =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeMarkup(cell)}</${tag}>`).join('')}</tr>`
  const body = rows.map((cells) => row(cells, 'td')).join('\n')
  return `<div class="scroll"><table>\n${row(head, 'th')}\n${body}\n</table></div>`
}
