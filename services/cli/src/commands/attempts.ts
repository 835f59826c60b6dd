/** `sluice attempts`: a line for each attempt, or all details of each. */
import { attemptOutcome, type AttemptView, type AttemptsPage } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import { OPS } from '@sluice/contracts/state'
import { booleanOption, textOption, type Command } from '../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../exit-codes.ts'
import {
  KEY_OPTION,
  PAGING_OPTIONS,
  STATUS_OPTION,
  keyOption,
  outputOptions,
  pagingOf,
  statusOption,
  timeOption,
} from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { withTyped } from '../output/called.ts'
import { painter, safe, type Paint } from '../output/paint.ts'
import { keysText, messageLines } from '../output/preview-text.ts'
import { table } from '../output/table.ts'
import { clockTime, elapsed, paintOutcome, type OutputOptions } from '../output/wording.ts'

export const command: Command = {
  description:
    'Shows requests as they were sent and answers as they came back, the newest first. Secrets are masked, and long answers are shortened.',
  positionals: [],
  options: {
    run: { type: 'text', value: 'RUN', help: 'only attempts of one run' },
    sync: { type: 'text', value: 'SYNC', help: 'only attempts of one sync' },
    key: KEY_OPTION,
    trigger: { type: 'text', value: 'TRIGGER', choices: [...OPS], help: 'only attempts of this trigger' },
    status: STATUS_OPTION,
    outcome: {
      type: 'text',
      value: 'OUTCOME',
      choices: attemptOutcome.options,
      help: `only with this outcome: ${attemptOutcome.options.join(', ')}`,
    },
    since: { type: 'text', value: 'TIME', help: 'only newer attempts: how long ago (2h), or a time' },
    until: { type: 'text', value: 'TIME', help: 'only older attempts: how long ago, or a time' },
    search: { type: 'text', value: 'TEXT', help: 'only with this text in the error, in upper or lower case' },
    bodies: { type: 'boolean', help: 'with `--search`: also look in bodies, as far as they are kept' },
    details: { type: 'boolean', help: 'with headers and bodies' },
    ...PAGING_OPTIONS,
  },
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice attempts --sync customers --key 42', does: 'all requests for one row' },
    {
      command: 'sluice attempts --status 422 --details',
      does: 'the requests that the API refused, with its answers',
    },
    {
      command: 'sluice attempts --status 4xx --search "email" --since 2d --until 1d',
      does: 'what the API said of e-mails the day before',
    },
    { command: 'sluice attempts --since 15m --json', does: 'for scripts' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    const now = Date.now()
    const search = textOption(args, 'search')
    if (booleanOption(args, 'bodies') && search === undefined)
      throw new SluiceError('usage', '`--bodies` says where to look: add `--search TEXT`.')
    const details = booleanOption(args, 'details')
    const query = {
      run: textOption(args, 'run'),
      sync: textOption(args, 'sync'),
      key: keyOption(args),
      trigger: OPS.find(op => op === textOption(args, 'trigger')),
      status: statusOption(args),
      outcome: attemptOutcome.options.find(outcome => outcome === textOption(args, 'outcome')),
      since: timeOption(args, 'since', now),
      until: timeOption(args, 'until', now),
      q: search,
      bodies: booleanOption(args, 'bodies') ? true : undefined,
    }
    await using control = await openControl(context)
    const page = await control.call(
      'listAttempts',
      { ...query, details: details || json, ...pagingOf(args) },
      { signal },
    )
    const filtered = Object.values(query).some(value => value !== undefined)
    const options = { ...outputOptions(context), details, filtered }
    stdout.write(json ? `${JSON.stringify(page)}\n` : attemptsText(page, options))
    return EXIT.success
  },
}

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
      { title: 'ATTEMPT', align: 'right', drops: true },
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

/** On a terminal, the URL without its origin, which all requests of an API share. */
function pathOf(url: string, { columns }: OutputOptions): string {
  const parsed = columns === null ? null : URL.parse(url)
  return parsed === null ? url : `${parsed.pathname}${parsed.search}`
}

function titleOf({ run, requestId, attempt, test }: AttemptView): string {
  return test === true
    ? `test ${run}, which changed no state`
    : `run ${run} · request ${requestId} · attempt ${attempt}`
}

export function attemptDetails(attempt: AttemptView, options: OutputOptions, paint: Paint): string[] {
  const answer = attempt.status === null ? 'no answer' : `${attempt.status}`
  const when = `${clockTime(attempt.startedAt, options.timeZone)}, ${elapsed(attempt.durationMs)}`
  const lines = [
    `${paint('bold', safe(`${attempt.method} ${attempt.url}`))}`,
    `${paintOutcome(attempt.outcome, attempt.outcome, paint)} · ${answer} · ${when}`,
    paint('dim', safe(`${titleOf(attempt)} · ${attempt.sync} ${attempt.trigger}`)),
    `rows: ${attempt.keys.map(safe).join(', ')}`,
  ]
  if (attempt.error !== null) lines.push(paint('red', safe(attempt.error)))
  lines.push(paint('dim', '> request'), ...messageLines(attempt.requestHeaders, attempt.requestBody))
  if (attempt.status !== null) {
    lines.push(paint('dim', '< answer'), ...messageLines(attempt.responseHeaders, attempt.responseBody))
  }
  return lines
}
