/**
 * Tables of text for people. Columns are as wide as their text, and shrink or go if the terminal is too
 * narrow.
 */
import { displayWidth, fit, pad, type Paint } from './paint.ts'

export interface TableColumn {
  readonly title: string
  readonly align?: 'left' | 'right'
  /** True for a column that is cut if the table is too wide for the terminal. The rightmost is cut first. */
  readonly shrinks?: boolean
  /** The width that a column shrinks to before others are left out; 12 by default. */
  readonly least?: number
  /** True for a column that is left out if cutting is not enough. The rightmost is left out first. */
  readonly drops?: boolean
  /** Colours a cell after it was padded. */
  readonly style?: (cell: string, text: string) => string
}

const GAP = '  '
const MIN_SHRUNK = 12

/**
 * The lines of a table. Cells are plain text of one line. Columns without any text are left out. With a
 * `width` of null the table has no limit.
 */
export function table(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  { width, paint }: { width: number | null; paint: Paint },
): string[] {
  const shown = columns
    .map((column, index) => ({ column, index, width: columnWidth(column, rows, index) }))
    .filter(({ index }) => rows.length === 0 || rows.some(row => (row[index] ?? '') !== ''))
  const fitting = width === null ? shown : fitted(shown, width)
  const line = (cells: readonly string[], styled: boolean) =>
    fitting
      .map(({ column, index, width: columnSpace }) => {
        const cell = cells[index] ?? ''
        const padded = pad(fit(cell, columnSpace), columnSpace, column.align ?? 'left')
        return styled && column.style !== undefined ? column.style(padded, cell) : padded
      })
      .join(GAP)
      .trimEnd()
  const titles = columns.map(({ title }) => title)
  return [paint('dim', line(titles, false)), ...rows.map(row => line(row, true))]
}

interface ShownColumn {
  readonly column: TableColumn
  readonly index: number
  readonly width: number
}

function columnWidth(column: TableColumn, rows: readonly (readonly string[])[], index: number): number {
  return Math.max(displayWidth(column.title), ...rows.map(row => displayWidth(row[index] ?? '')))
}

function totalWidth(columns: readonly ShownColumn[]): number {
  return columns.reduce((sum, { width }) => sum + width + GAP.length, -GAP.length)
}

/**
 * Narrows the columns that may shrink, the rightmost first, and then leaves out those that may be left out.
 */
function fitted(columns: readonly ShownColumn[], width: number): readonly ShownColumn[] {
  const narrowed = [...columns]
  for (let at = narrowed.length - 1; at >= 0; at--) {
    const over = totalWidth(narrowed) - width
    const shown = narrowed[at]
    if (over <= 0 || shown?.column.shrinks !== true) continue
    const least = shown.column.least ?? MIN_SHRUNK
    narrowed[at] = { ...shown, width: Math.max(Math.min(shown.width, least), shown.width - over) }
  }
  if (totalWidth(narrowed) <= width) return narrowed
  const dropped = columns.findLast(({ column }) => column.drops === true)
  return dropped === undefined
    ? narrowed
    : fitted(
        columns.filter(column => column !== dropped),
        width,
      )
}
