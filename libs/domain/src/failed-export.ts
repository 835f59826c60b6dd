/** Failed rows as a file: JSON, or CSV for a spreadsheet. Both are written page by page. */
import type { FailedPage, FailedRow } from '@sluice/contracts/api'

export type ExportFormat = 'csv' | 'json'

export interface ExportedPage extends Pick<FailedPage, 'rows'> {
  readonly isFirst: boolean
  readonly isLast: boolean
}

const FIELDS = ['key', 'op', 'outcome', 'status', 'error', 'attempts', 'runs', 'since'] as const
/** The columns of a row come after this, so that none is taken for a field of the failure. */
const PREFIX = 'row.'
/** The column for columns that no row of the first page had: JSON. */
const OTHERS = 'other columns'

/** Writes pages of rows, in order, as the parts of one file. */
export function failedExport(format: ExportFormat): (page: ExportedPage) => string {
  return format === 'csv' ? csvExport() : jsonPart
}

/** One row a line, so that a reader may also take it line by line. */
function jsonPart({ rows, isFirst, isLast }: ExportedPage): string {
  const lines = rows.map(row => JSON.stringify(row)).join(',\n')
  const before = isFirst ? '[\n' : rows.length === 0 ? '' : ',\n'
  return `${before}${lines}${isLast ? '\n]\n' : ''}`
}

function csvExport(): (page: ExportedPage) => string {
  let columns: readonly string[] = []
  return ({ rows, isFirst }) => {
    if (isFirst) columns = [...new Set(rows.flatMap(({ row }) => Object.keys(row ?? {})))]
    const header = [...FIELDS, ...columns.map(column => `${PREFIX}${column}`), OTHERS]
    const lines = rows.map(row => csvRow(row, columns))
    return [...(isFirst ? [header] : []), ...lines].map(line => `${line.map(csvCell).join(',')}\r\n`).join('')
  }
}

function csvRow(failed: FailedRow, columns: readonly string[]): readonly unknown[] {
  const row = failed.row ?? {}
  const known = new Set(columns)
  const others = Object.entries(row).filter(([column]) => !known.has(column))
  return [
    ...FIELDS.map(field => failed[field]),
    ...columns.map(column => row[column]),
    others.length === 0 ? null : Object.fromEntries(others),
  ]
}

/** A spreadsheet takes a text that begins like this for a formula, which may read files and call hosts. */
const FORMULA = /^[\s\u0000]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/
const NUMBER = /^-?\d+(\.\d+)?$/

/** A cell (RFC 4180). A text that could be a formula gets an apostrophe in front. A number stays a number. */
export function csvCell(value: unknown): string {
  if (value === null || value === undefined) return ''
  const plain = typeof value === 'string' ? value : JSON.stringify(value)
  const text = FORMULA.test(plain) && !NUMBER.test(plain) ? `'${plain}` : plain
  return /[",\r\n;\t]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
