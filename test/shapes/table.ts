/** The table that a run of the shapes prints, a line each, that also reads as Markdown. */
import type { Played } from './play-shape.ts'

const PROCESSES = ['sluice', 'change-detector', 'renderer', 'delivery'] as const
const HEAD = [
  'shape',
  'profile',
  'rows',
  'MB sent',
  'seconds',
  ...PROCESSES.map(name => `${name}, MB`),
  'verdict',
]
const WIDTHS = [20, 11, 9, 8, 16, 10, 19, 12, 12, 7]

export function headLine(): string {
  return `${line(HEAD)}\n${line(WIDTHS.map(width => '-'.repeat(width)))}`
}

export function resultLine({ name, profile, rows, bytes, seconds, peaks, problems }: Played): string {
  return line([
    name,
    profile,
    rows.toLocaleString('en'),
    (bytes / 1e6).toFixed(1),
    secondsText(seconds),
    ...PROCESSES.map(process => String(peaks.get(process) ?? '')),
    problems.length === 0 ? 'passed' : 'FAILED',
  ])
}

/** Of each pass; of many only their sum. */
function secondsText(seconds: readonly number[]): string {
  if (seconds.length <= 3) return seconds.map(each => each.toFixed(1)).join(' + ')
  const sum = seconds.reduce((total, each) => total + each, 0)
  return `${sum.toFixed(0)} in ${seconds.length} runs`
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0)).join(' | ')} |`
}
