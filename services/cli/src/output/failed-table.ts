/** Rows that were not delivered: their errors in groups, and the table of `sluice failed`. */
import type { FailedPage, FailedRow } from '@sluice/contracts/api'
import { errorGroups, reasonId } from '@sluice/domain/answers/error-groups'
import { asTyped } from './called.ts'
import { fit, painter, safe, shownKey, wrap, type Paint } from './paint.ts'
import { table } from './table.ts'
import { clockTime, counted, number, paintOutcome, type OutputOptions } from './wording.ts'

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
  const { groups = [] } = page
  const lines = grouped.length === 1 ? [] : [...errorGroupLines(grouped, { ...options, groups }, paint), '']
  if (uncounted !== null) lines.unshift(paint('dim', `of the first ${counted(grouped.length, 'row')}:`))
  lines.push(...failedTable(page.rows, options))
  if (page.next !== null) lines.push(paint('dim', `more: --after ${safe(page.next)}`))
  const unknown = unknownRows(options.grouped ?? page)
  const all = grouped.length
  if (unknown > 0) lines.push('', ...unknownLines(unknown, options))
  if (unknown < all)
    lines.push(
      '',
      `The next \`${asTyped(`sluice run ${options.sync}`, options.called)}\` tries ${unknown === 0 ? 'them' : all - unknown === 1 ? 'the other one' : 'the others'} again, with the rows as they are then.`,
    )
  return `${lines.join('\n')}\n`
}

/** Returns how many rows may have arrived, if the sync sends these rows again only on request. */
export function unknownRows({ rows, atMostOnce = false }: FailedPage): number {
  return atMostOnce ? rows.filter(({ outcome }) => outcome === 'unknown').length : 0
}

/** Says what to do about rows that may have arrived. */
export function unknownLines(
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

/** A longer message is cut to this many lines. */
const MAX_LINES = 4

/** The text shows this many groups. `sluice failed` lists each row. */
const MAX_GROUPS = 5

/** Returns lines for each group: the number of rows with one key, the message, and the id if it is known. */
export function errorGroupLines(
  rows: readonly FailedRow[],
  { columns, groups: named = [] }: OutputOptions & Pick<FailedPage, 'groups'>,
  paint: Paint,
): string[] {
  const groups = errorGroups(rows)
  const ids = new Map(named.map(group => [reasonId(group), group.id]))
  const width = Math.max((columns ?? 110) - 4, 20)
  const lines = groups.slice(0, MAX_GROUPS).flatMap(group => {
    const { count, outcome, status, error, key } = group
    const id = ids.get(reasonId(group))
    const what = status === null ? outcome : `${outcome}, status ${status}`
    const which = count === 1 ? `key ${shownKey(key)}` : `such as key ${shownKey(key)}`
    const head = wrap(`${counted(count, 'row')} ${what}, ${which}:`, width + 2).map(
      line => `  ${fit(line, width + 2)}`,
    )
    const all = wrap(safe(error ?? 'no reason is known'), width)
    const shown = all.length > MAX_LINES ? [...all.slice(0, MAX_LINES - 1), '…'] : all
    const message = shown.map(line => `    ${paint('red', fit(line, width))}`)
    return [...head, ...message, ...(id === undefined ? [] : [`    ${paint('dim', `--group ${id}`)}`])]
  })
  const more = groups.length - MAX_GROUPS
  return more > 0 ? [...lines, `  … and ${counted(more, 'other error')}`] : lines
}
