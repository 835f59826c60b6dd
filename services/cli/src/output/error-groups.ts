/** Why rows were not delivered, for people. */
import type { FailedRow } from '@sluice/contracts/api'
import { errorGroups } from '@sluice/domain/answers/error-groups'
import { fit, safe, shownKey, wrap } from './paint.ts'
import type { Paint } from './paint.ts'
import { counted, type OutputOptions } from './wording.ts'

/** A message is cut after so many lines. */
const MAX_LINES = 4

/** Nobody reads more groups. `sluice failed` lists each row. */
const MAX_GROUPS = 5

/** Two or more lines for each group: how many rows and one of them, and the message. */
export function errorGroupLines(
  rows: readonly FailedRow[],
  { columns }: OutputOptions,
  paint: Paint,
): string[] {
  const groups = errorGroups(rows)
  const width = Math.max((columns ?? 110) - 4, 20)
  const lines = groups.slice(0, MAX_GROUPS).flatMap(({ count, outcome, status, error, key }) => {
    const what = status === null ? outcome : `${outcome}, status ${status}`
    const which = count === 1 ? `key ${shownKey(key)}` : `such as key ${shownKey(key)}`
    const head = wrap(`${counted(count, 'row')} ${what}, ${which}:`, width + 2).map(
      line => `  ${fit(line, width + 2)}`,
    )
    const all = wrap(safe(error ?? 'no reason is known'), width)
    const shown = all.length > MAX_LINES ? [...all.slice(0, MAX_LINES - 1), '…'] : all
    const message = shown.map(line => `    ${paint('red', fit(line, width))}`)
    return [...head, ...message]
  })
  const more = groups.length - MAX_GROUPS
  return more > 0 ? [...lines, `  … and ${counted(more, 'other error')}`] : lines
}
