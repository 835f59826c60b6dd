/** `sluice runs` and `sluice runs show`. */
import { runInWords } from '@sluice/contracts/views/state-words'
import { runCause, runStatus, type RunView, type RunsPage } from '@sluice/contracts/api'
import { totalOf, undeliveredRows } from '@sluice/domain/counts'
import { booleanOption, textOption, type Command } from '../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../exit-codes.ts'
import {
  GROUPED_ROWS,
  LABEL_OPTION,
  PAGING_OPTIONS,
  outputOptions,
  pagingOf,
  timeOption,
} from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { asTyped } from '../output/called.ts'
import { painter, safe } from '../output/paint.ts'
import { runDetails } from '../output/run-summary.ts'
import { table } from '../output/table.ts'
import {
  clockTime,
  counted,
  number,
  paintStatus,
  runDuration,
  streamInWords,
  type OutputOptions,
} from '../output/wording.ts'

export const runsCommand: Command = {
  description:
    'Lists the runs so far, the newest first, with what they read and delivered. A stream is one entry for as long as it goes on without a pause.',
  positionals: [{ name: 'SYNC', required: false, help: 'only the runs of this sync' }],
  options: {
    label: { ...LABEL_OPTION, help: 'only runs of syncs with this label' },
    status: { type: 'text', value: 'STATUS', choices: runStatus.options, help: 'only runs in this status' },
    cause: { type: 'text', value: 'CAUSE', choices: runCause.options, help: 'only runs with this cause' },
    since: {
      type: 'text',
      value: 'TIME',
      help: 'only runs that were asked for after this: how long ago (2h), or a time',
    },
    until: {
      type: 'text',
      value: 'TIME',
      help: 'only runs that were asked for before this: how long ago, or a time',
    },
    each: { type: 'boolean', help: 'each hourly run of a stream by itself' },
    ...PAGING_OPTIONS,
  },
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice runs', does: 'the last 50 runs' },
    { command: 'sluice runs customers --limit 5', does: 'the last five of one sync' },
    { command: 'sluice runs --status failed --since 7d', does: 'what failed this week' },
    { command: 'sluice runs --json', does: 'for scripts' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    const sync = args.positionals[0]
    const now = Date.now()
    const query = {
      sync,
      status: runStatus.options.find(status => status === textOption(args, 'status')),
      cause: runCause.options.find(cause => cause === textOption(args, 'cause')),
      label: textOption(args, 'label'),
      since: timeOption(args, 'since', now),
      until: timeOption(args, 'until', now),
    }
    await using control = await openControl(context)
    const filtered = Object.entries(query).some(([name, value]) => name !== 'sync' && value !== undefined)
    const each = booleanOption(args, 'each') ? true : undefined
    const page = await control.call('listRuns', { ...query, each, ...pagingOf(args) }, { signal })
    const text = json
      ? `${JSON.stringify(page)}\n`
      : runsText(page, { ...outputOptions(context), sync, filtered, now })
    stdout.write(text)
    return EXIT.success
  },
}

const SHOWN_FAILED_ROWS = 20

export const runsShowCommand: Command = {
  description: 'Shows one run: its status, its counts per trigger, and the rows that it did not deliver.',
  positionals: [{ name: 'RUN', required: true, help: 'the id of the run, as `sluice runs` lists it' }],
  options: {},
  exits: EXITS_OF_ASKING,
  examples: [{ command: 'sluice runs show 01JDZ8M6W3V5T8Q9YB4K2N7R1C', does: 'one run' }],
  async run(context) {
    const { args, json, stdout, signal } = context
    const id = args.positionals[0] ?? ''
    await using control = await openControl(context)
    const run = await control.call('getRun', { id }, { signal })
    if (json) {
      stdout.write(`${JSON.stringify(run)}\n`)
      return EXIT.success
    }
    const query = { name: run.sync, run: id, limit: GROUPED_ROWS }
    const failed = await control.call('listFailedRows', query, { signal })
    const shown = failed.rows.slice(0, SHOWN_FAILED_ROWS)
    const moreFailed = failed.next !== null || failed.rows.length > shown.length
    // A later run may have delivered some since, so only rows that still wait are shown.
    const waiting = failed.rows.length === 0 ? null : failed
    stdout.write(runDetails(run, shown, { ...outputOptions(context), now: Date.now(), waiting, moreFailed }))
    return EXIT.success
  },
}

/** The runs of a page, the newest first. If there are none, it says what to do. */
export function runsText(
  page: RunsPage,
  options: OutputOptions & {
    readonly sync: string | undefined
    readonly filtered?: boolean
    readonly now: number
  },
): string {
  const paint = painter(options.color)
  if (page.runs.length === 0 && options.filtered === true)
    return 'No run matches. Leave out an option to see more.\n'
  if (page.runs.length === 0) {
    const which = options.sync === undefined ? 'No sync has run yet' : `\`${options.sync}\` has not run yet`
    return `${which}. \`${asTyped(`sluice run ${options.sync ?? 'SYNC'}`, options.called)}\` starts a run.\n`
  }
  const byStatus = new Map<string, RunView['status']>(page.runs.map(run => [run.status, run.status]))
  const lines = table(
    [
      { title: 'RUN' },
      { title: 'SYNC', shrinks: true },
      {
        title: 'STATUS',
        style: (cell, text) => {
          if (text === 'failing') return paint('red', cell)
          if (text === 'streaming') return paintStatus('running', cell, paint)
          const status = byStatus.get(text)
          return status === undefined ? cell : paintStatus(status, cell, paint)
        },
      },
      { title: 'STARTED', drops: true },
      { title: 'TOOK', align: 'right', drops: true },
      { title: 'READ', align: 'right', drops: true },
      { title: 'DELIVERED', align: 'right' },
      {
        title: 'FAILED',
        align: 'right',
        style: (cell, text) => (text === '0' ? cell : paint('yellow', cell)),
      },
      { title: 'ERROR', shrinks: true, style: cell => paint('red', cell) },
    ],
    page.runs.map(run => [
      safe(run.id),
      safe(run.sync),
      runInWords(run),
      run.startedAt === null ? '' : clockTime(run.startedAt, options.timeZone),
      runDuration(run, options.now),
      number(run.rowsRead),
      number(totalOf(run.triggers, 'delivered')),
      // The counts of a stream at work have each try of a row.
      number(run.stream?.waiting ?? undeliveredRows(run.triggers)),
      safe(run.error ?? ''),
    ]),
    { width: options.columns, paint },
  )
  for (const { sync, stream, status } of page.runs)
    if (stream !== undefined && status === 'running')
      lines.push(`${safe(sync)} ${streamInWords(stream, options.now)}`)
  for (const { id, sync, failedStarts = 1 } of page.runs)
    if (failedStarts > 1)
      lines.push(
        paint('dim', `${safe(id)} stands for ${counted(failedStarts, 'failed start')} of ${safe(sync)}`),
      )
  if (page.next !== null) lines.push(paint('dim', `more: --after ${safe(page.next)}`))
  return `${lines.join('\n')}\n`
}
