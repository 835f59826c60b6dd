/** The table of rows that were not delivered, in `sluice failed` and `sluice runs show`. */
import type { FailedPage, FailedRow } from '@sluice/contracts/api'
import { asTyped } from './called.ts'
import { errorGroupLines } from './error-groups.ts'
import { painter, safe, shownKey } from './paint.ts'
import { table } from './table.ts'
import { clockTime, counted, number, paintOutcome } from './wording.ts'
import type { OutputOptions } from './wording.ts'

/** The rows of a page. If there are none, it says that all is well, or that no row matches the options. */
export function failedText(
  page: FailedPage,
  options: OutputOptions & {
    readonly sync: string
    readonly filtered: boolean
    /** More rows than the page has, for the groups of errors. */
    readonly grouped?: FailedPage
  },
): string {
  const paint = painter(options.color)
  if (page.rows.length === 0) {
    if (options.filtered)
      return `No waiting row matches. Leave out an option to see more: \`${asTyped(`sluice failed ${options.sync}`, options.called)}\`.\n`
    return `${paint('green', '✓')} No row of \`${options.sync}\` waits for a retry.\n`
  }
  const { rows: grouped, next: uncounted } = options.grouped ?? page
  const lines = grouped.length === 1 ? [] : [...errorGroupLines(grouped, options, paint), '']
  if (uncounted !== null) lines.unshift(paint('dim', `of the first ${counted(grouped.length, 'row')}:`))
  lines.push(...failedTable(page.rows, options))
  if (page.next !== null) lines.push(paint('dim', `more: --after ${safe(page.next)}`))
  const inDoubt = rowsInDoubt(options.grouped ?? page)
  const all = grouped.length
  if (inDoubt > 0) lines.push('', ...doubtLines(inDoubt, options))
  if (inDoubt < all)
    lines.push(
      '',
      `The next \`${asTyped(`sluice run ${options.sync}`, options.called)}\` tries ${inDoubt === 0 ? 'them' : all - inDoubt === 1 ? 'the other one' : 'the others'} again, with the rows as they are then.`,
    )
  return `${lines.join('\n')}\n`
}

/** How many rows may have arrived, of a sync that sends such a row only when somebody says so. */
export function rowsInDoubt({ rows, atMostOnce = false }: FailedPage): number {
  return atMostOnce ? rows.filter(({ outcome }) => outcome === 'unknown').length : 0
}

/** What to do about these rows. */
export function doubtLines(
  count: number,
  { sync, called }: OutputOptions & { readonly sync: string },
): readonly string[] {
  return [
    `${counted(count, 'row')} may have arrived. Nothing sends ${count === 1 ? 'it' : 'them'} again by itself (delivery: at-most-once): see what the API has, then`,
    `  ${asTyped(`sluice retry ${sync}`, called)}  if ${count === 1 ? 'it is' : 'they are'} not there`,
    `  ${asTyped(`sluice discard ${sync}`, called)}  if ${count === 1 ? 'it is' : 'they are'} there`,
  ]
}

/** The lines of the table alone. */
export function failedTable(rows: readonly FailedRow[], options: OutputOptions): string[] {
  const paint = painter(options.color)
  const outcomes = new Map<string, FailedRow['outcome']>(rows.map(row => [row.outcome, row.outcome]))
  return table(
    [
      { title: 'KEY', shrinks: true },
      { title: 'TRIGGER' },
      {
        title: 'OUTCOME',
        style: (cell, text) => {
          const outcome = outcomes.get(text)
          return outcome === undefined ? cell : paintOutcome(outcome, cell, paint)
        },
      },
      { title: 'STATUS', align: 'right' },
      { title: 'ATTEMPTS', align: 'right', drops: true },
      { title: 'RUNS', align: 'right', drops: true },
      { title: 'SINCE', drops: true },
      { title: 'ERROR', shrinks: true, least: 24 },
    ],
    rows.map(row => [
      shownKey(row.key),
      row.op,
      row.outcome,
      row.status === null ? '–' : String(row.status),
      number(row.attempts),
      number(row.runs),
      clockTime(row.since, options.timeZone),
      safe(row.error ?? ''),
    ]),
    { width: options.columns, paint },
  )
}
