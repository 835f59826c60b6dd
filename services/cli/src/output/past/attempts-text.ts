/** The output of `sluice attempts`: a line for each attempt, or all details of each. */
import type { AttemptsPage, AttemptView } from '@sluice/contracts/api'
import { withTyped } from '../called.ts'
import { keysText, messageLines } from '../message-lines.ts'
import { painter, safe } from '../paint.ts'
import type { Paint } from '../paint.ts'
import { table } from '../table.ts'
import { clockTime, elapsed, paintOutcome } from '../wording.ts'
import type { OutputOptions } from '../wording.ts'

/** The attempts of a page as a table, or in full with `details`. If there are none, it says what to do. */
export function attemptsText(
  page: AttemptsPage,
  options: OutputOptions & { readonly details: boolean; readonly filtered: boolean },
): string {
  const paint = painter(options.color)
  if (page.attempts.length === 0) {
    const text = options.filtered
      ? 'No attempt matches. Leave out an option to see more; `sluice runs` lists the runs.\n'
      : 'Nothing has been sent yet. `sluice run SYNC` starts a run.\n'
    return withTyped(text, options.called)
  }
  const lines = options.details
    ? page.attempts.flatMap(attempt => [...attemptDetails(attempt, options, paint), ''])
    : attemptsTable(page.attempts, options, paint)
  if (page.next !== null) lines.push(paint('dim', `more: --after ${safe(page.next)}`))
  if (!options.details) lines.push(paint('dim', '`--details` shows headers and bodies'))
  return `${lines.join('\n')}\n`
}

function attemptsTable(attempts: readonly AttemptView[], options: OutputOptions, paint: Paint): string[] {
  const outcomes = new Map<string, AttemptView['outcome']>(attempts.map(({ outcome }) => [outcome, outcome]))
  return table(
    [
      { title: 'STARTED' },
      { title: 'SYNC', shrinks: true, drops: true },
      { title: 'TRIGGER', drops: true },
      { title: 'TRY', align: 'right', drops: true },
      { title: 'STATUS', align: 'right' },
      {
        title: 'OUTCOME',
        style: (cell, text) => {
          const outcome = outcomes.get(text)
          return outcome === undefined ? cell : paintOutcome(outcome, cell, paint)
        },
      },
      { title: 'TOOK', align: 'right', drops: true },
      { title: 'ROWS', shrinks: true, least: 8 },
      { title: 'REQUEST', shrinks: true, least: 20 },
      { title: 'ERROR', shrinks: true, least: 16 },
    ],
    attempts.map(attempt => [
      started(attempt.startedAt, options),
      safe(attempt.sync),
      attempt.trigger,
      attempt.test === true ? 'test' : String(attempt.attempt),
      attempt.status === null ? '–' : String(attempt.status),
      attempt.outcome,
      elapsed(attempt.durationMs),
      keysText(attempt.keys),
      `${safe(attempt.method)} ${safe(pathOf(attempt.url, options))}`,
      safe(attempt.error ?? ''),
    ]),
    { width: options.columns, paint },
  )
}

/** Narrower terminals have no room for the date of each attempt. */
const ROOM_FOR_DATES = 100

function started(at: string, { columns, timeZone }: OutputOptions): string {
  const text = clockTime(at, timeZone)
  return columns === null || columns >= ROOM_FOR_DATES ? text : (text.split(' ')[1] ?? text)
}

/** On a terminal the part that tells requests of one API apart. */
function pathOf(url: string, { columns }: OutputOptions): string {
  const parsed = columns === null ? null : URL.parse(url)
  return parsed === null ? url : `${parsed.pathname}${parsed.search}`
}

function placeOf({ run, requestId, attempt, test }: AttemptView): string {
  return test === true
    ? `test ${run}, which changed no state`
    : `run ${run} · request ${requestId} · try ${attempt}`
}

export function attemptDetails(attempt: AttemptView, options: OutputOptions, paint: Paint): string[] {
  const answer = attempt.status === null ? 'no answer' : `${attempt.status}`
  const when = `${clockTime(attempt.startedAt, options.timeZone)}, ${elapsed(attempt.durationMs)}`
  const lines = [
    `${paint('bold', safe(`${attempt.method} ${attempt.url}`))}`,
    `${paintOutcome(attempt.outcome, attempt.outcome, paint)} · ${answer} · ${when}`,
    paint('dim', safe(`${placeOf(attempt)} · ${attempt.sync} ${attempt.trigger}`)),
    `rows: ${attempt.keys.map(safe).join(', ')}`,
  ]
  if (attempt.error !== null) lines.push(paint('red', safe(attempt.error)))
  lines.push(paint('dim', '> request'), ...messageLines(attempt.requestHeaders, attempt.requestBody))
  if (attempt.status !== null) {
    lines.push(paint('dim', '< answer'), ...messageLines(attempt.responseHeaders, attempt.responseBody))
  }
  return lines
}
