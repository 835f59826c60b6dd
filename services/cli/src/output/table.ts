/** Tables of text for people: columns as wide as they need, the one that may shrink cut to the terminal. */
import { displayWidth, fit, pad } from './paint.ts'
import type { Paint } from './paint.ts'

export interface TableColumn {
  readonly title: string
  readonly align?: 'left' | 'right'
  /** A column that is cut when the table is too wide for the terminal; the rightmost such first. */
  readonly shrinks?: boolean
  /** Colours a cell after it was padded. */
  readonly style?: (cell: string, text: string) => string
}

const GAP = '  '
const MIN_SHRUNK = 12

/** The lines of a table; cells are plain text, one line each. A `width` of null means: as wide as it gets. */
export function table(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  { width, paint }: { width: number | null; paint: Paint },
): string[] {
  const widths = columns.map((column, index) =>
    Math.max(displayWidth(column.title), ...rows.map(row => displayWidth(row[index] ?? ''))),
  )
  if (width !== null) shrink(widths, columns, width)
  const line = (cells: readonly string[], styled: boolean) =>
    columns
      .map((column, index) => {
        const cell = cells[index] ?? ''
        const padded = pad(fit(cell, widths[index] ?? 0), widths[index] ?? 0, column.align ?? 'left')
        return styled && column.style !== undefined ? column.style(padded, cell) : padded
      })
      .join(GAP)
      .trimEnd()
  const titles = columns.map(({ title }) => title)
  return [paint('dim', line(titles, false)), ...rows.map(row => line(row, true))]
}

function shrink(widths: number[], columns: readonly TableColumn[], width: number): void {
  let over = widths.reduce((sum, each) => sum + each + GAP.length, -GAP.length) - width
  for (let index = columns.length - 1; index >= 0 && over > 0; index--) {
    if (columns[index]?.shrinks !== true) continue
    const before = widths[index] ?? 0
    const after = Math.max(Math.min(before, MIN_SHRUNK), before - over)
    widths[index] = after
    over -= before - after
  }
}
