/** The table that a run of the shapes prints, a line each, that also reads as Markdown. */
import type { Peaks } from './peak-memory.ts'
import type { Played } from './play-shape.ts'

/** A cell shows the peak of a process, of one that it started, and of both together. */
const CELLS = ['sluice', 'change-detector', 'renderer', 'delivery'] as const
/** Children with less are no matter, such as `mkfifo`. */
const LEAST_SHOWN = 20
const HEAD = [
  'shape',
  'profile',
  'rows',
  'MB sent',
  'seconds',
  ...CELLS.map(name => `${name}, MB`),
  'verdict',
]
const WIDTHS = [20, 11, 9, 8, 16, 32, 32, 12, 12, 7]

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
    ...CELLS.map(label => peaksText(label, peaks)),
    problems.length === 0 ? 'passed' : 'FAILED',
  ])
}

/** Such as `455, query 320, together 610`. */
function peaksText(label: string, { each, together }: Peaks): string {
  const own = each.get(label)
  if (own === undefined) return ''
  const start = `${label} › `
  const children = [...each].filter(([name, peak]) => name.startsWith(start) && peak >= LEAST_SHOWN)
  if (children.length === 0) return String(own)
  const shown = children.map(([name, peak]) => `${name.slice(start.length)} ${peak}`)
  return `${own}, ${shown.join(', ')}, together ${together.get(label) ?? 0}`
}

/** Shows each pass; if there are many, only their sum. */
function secondsText(seconds: readonly number[]): string {
  if (seconds.length <= 3) return seconds.map(each => each.toFixed(1)).join(' + ')
  const sum = seconds.reduce((total, each) => total + each, 0)
  return `${sum.toFixed(0)} in ${seconds.length} runs`
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0)).join(' | ')} |`
}
