import type { SealFinding, SealRange, SealReport } from '../../seal/verify/seal-report'
import { formatPlain } from '../../toolkit/chart/chart'
import type { Paint } from '../../toolkit/text/colour'
import { textWidth, wrapText } from '../../toolkit/text/width'
import { visible } from '../shared/escape'

const WORDS = { good: 'GOOD', broken: 'BROKEN', unsure: 'CANNOT TELL' } as const
const COLORS = { good: 'green', broken: 'red', unsure: 'yellow' } as const
const UNANCHORED =
  'UNANCHORED: no --key was given, so anyone may have made this seal; give the verifier key that keygen printed'

/** What a seal says about a log, in lines of this width. */
export function sealText(report: SealReport, paint: Paint, width: number): string {
  const { verdict, findings, byKind } = report
  const all = Object.values(byKind).reduce((sum, times) => sum + times, 0)
  const more = all - findings.length
  const kinds = Object.entries(byKind)
    .filter(([kind]) => kind !== 'no seal')
    .map(([kind, times]) => `${formatPlain(times)} ${kind}`)
  const sum = [`the seal: ${sizeText(report)}`, ...(kinds.length > 0 ? [kinds.join(', ')] : [])]
  const column = WORDS[verdict].length + 2
  const notes = notesOf(report).map(
    (note) => `  ${wrapText(note, { width, column: 2, indent: 4 })}`,
  )
  return [
    ...findings.map((finding) => findingText(finding, paint, width)),
    ...(more > 0 ? [`and ${formatPlain(more)} more (--max-problems shows more)`] : []),
    `${paint(['bold', COLORS[verdict]], WORDS[verdict])}  ${wrapText(sum.join(': '), { width, column, indent: 2 })}`,
    ...notes,
    '',
  ].join('\n')
}

function sizeText({ checkpoint, sealedLines, lines, files, byKind }: SealReport): string {
  if (checkpoint === null) {
    return byKind['no seal'] === undefined
      ? 'it has no checkpoint to compare with'
      : 'there is none; --seal names its folder'
  }
  const { origin, size } = checkpoint
  const here = `${formatPlain(lines)} lines of ${files === 1 ? '1 file' : `${files} files`}`
  return `${here} against ${formatPlain(sealedLines)} that were sealed as ${visible(origin)} (a tree of ${formatPlain(size)})`
}

function findingText(finding: SealFinding, paint: Paint, width: number): string {
  const { kind, file, line, index, count, request } = finding
  const place = line === null ? visible(file) : `${visible(file)}:${line}`
  const tags = [
    ...(index === null ? [] : [rangesText([{ index, count }])]),
    ...(request === null ? [] : [`request ${request}`]),
  ]
  const message = finding.message.replace(new RegExp(`^${kind}:? `), '')
  const text = tags.length === 0 ? message : `${message} (${tags.join(', ')})`
  const column = textWidth(`${place}: ${kind}: `)
  const wrapped = wrapText(visible(text), { width, column, indent: 2 })
  return `${paint('bold', place)}: ${paint('red', kind)}: ${wrapped}`
}

function notesOf(report: SealReport): string[] {
  const { older, lost, erased, copies, unsealed, unsure } = report
  const told: readonly [isTold: boolean, text: string][] = [
    [true, anchorText(report)],
    [report.checkpoint !== null && !report.isRollbackChecked, ROLLBACK],
    [older.length > 0, `older: ${rangesText(older)} stood in files that are not here`],
    [lost.length > 0, `lost before the seal was begun again: ${rangesText(lost)}`],
    [erased > 0, `${formatPlain(erased)} erased, with leave`],
    [copies.length > 0, `read twice: ${copies.map(visible).join(', ')} has lines of other files`],
    [unsealed.lines > 0, unsealedText(unsealed)],
    [unsure !== null, unsure ?? ''],
  ]
  return told.filter(([isTold, text]) => isTold && text !== '').map(([, text]) => text)
}

const ROLLBACK =
  'not checked: whether log and seal were both put back to an older state; give --checkpoint one that was kept elsewhere'

function anchorText({ anchor, checkpoint, witnesses }: SealReport): string {
  // Without a checkpoint that can be used nothing is anchored, whatever key was given.
  if (checkpoint === null) return ''
  if (anchor === 'unanchored') return checkpoint.key === null ? UNANCHORED : ''
  const key = visible(checkpoint.key ?? '')
  const sealed = `by ${key}: who has its private key could make another seal`
  if (anchor === 'sealed') return `SEALED ${sealed}`
  const signed = witnesses.signed.map(
    ({ name, timeSeconds }) => `${visible(name)} at ${new Date(timeSeconds * 1_000).toISOString()}`,
  )
  return `WITNESSED up to line ${formatPlain(witnesses.size)} by ${signed.join(', ')}: none of them has seen another log of this origin; SEALED ${sealed}`
}

function unsealedText({ lines, oldestMs, file, line }: SealReport['unsealed']): string {
  const where = file === null ? '' : `, from ${visible(file)}:${line} on`
  return `${formatPlain(lines)} not sealed yet${where}; the oldest waits for ${formatPlain(oldestMs / 1_000)} s`
}

/** Lines of the tree, counted from 0; a place in a file is FILE:LINE, counted from 1. */
function rangesText(ranges: readonly SealRange[]): string {
  const texts = ranges.map(({ index, count }) =>
    count === 1 ? `${index}` : `${index} to ${index + count - 1}`,
  )
  const isOne = ranges.length === 1 && ranges[0]?.count === 1
  return `${isOne ? 'index' : 'indexes'} ${texts.join(', ')}`
}
