/** `sluice syncs`. */
import type { SyncView, SyncsPage } from '@sluice/contracts/api'
import { lastRunInWords, syncStateInWords } from '@sluice/contracts/views/state-words'
import { textOption, type Command } from '../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../exit-codes.ts'
import { LABEL_OPTION, PAGING_OPTIONS, outputOptions, pagingOf } from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { asTyped } from '../output/called.ts'
import { showEnvironment } from '../output/notice.ts'
import { painter, safe, type Paint } from '../output/paint.ts'
import { table } from '../output/table.ts'
import {
  counted,
  elapsedShort,
  number,
  paintStatus,
  streamInWords,
  timesFromNow,
  waitText,
  type OutputOptions,
} from '../output/wording.ts'

export const command: Command = {
  description:
    'Lists the syncs: state, last and next run, what each waits for, and how many rows wait for a retry. Schedules start runs while `sluice up` or the services are at work.',
  positionals: [],
  options: { label: LABEL_OPTION, ...PAGING_OPTIONS },
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice syncs', does: 'all syncs' },
    { command: 'sluice syncs --label crm', does: 'those that have this label' },
    { command: 'sluice syncs --json', does: 'for scripts' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    await using control = await openControl(context)
    const label = textOption(args, 'label')
    const page = await control.call('listSyncs', { label, ...pagingOf(args) }, { signal })
    const options = { ...outputOptions(context), label, now: Date.now() }
    showEnvironment(context)
    stdout.write(json ? `${JSON.stringify(page)}\n` : syncsText(page, options))
    return EXIT.success
  },
}

/** The syncs of a page, by name. If there are none, it says what to do. */
export function syncsText(
  page: SyncsPage,
  options: OutputOptions & { readonly label: string | undefined; readonly now: number },
): string {
  const { columns, now, called, color, label } = options
  const paint = painter(color)
  if (page.syncs.length === 0 && label !== undefined)
    return `No sync has the label \`${safe(label)}\`. \`${asTyped('sluice syncs', called)}\` lists all syncs with their labels.\n`
  if (page.syncs.length === 0)
    return `There is no sync yet. \`${asTyped('sluice init', called)}\` writes a project with one.\n`
  const statuses = new Map(
    page.syncs
      .flatMap(({ lastRun }) => (lastRun === null ? [] : [lastRun.status]))
      .map(status => [String(status), status]),
  )
  const hasLabels = page.syncs.some(({ labels = [] }) => labels.length > 0)
  const lines = table(
    [
      { title: 'SYNC', shrinks: true },
      { title: 'STATE' },
      {
        title: 'LAST RUN',
        style: (cell, text) => {
          const status = statuses.get(text)
          if (text === 'failing' || text === 'refused') return paint('red', cell)
          if (text === 'streaming') return paintStatus('running', cell, paint)
          return status === undefined ? cell : paintStatus(status, cell, paint)
        },
      },
      { title: 'WHEN', align: 'right' },
      { title: 'NEXT', align: 'right' },
      {
        title: 'WAITING',
        align: 'right',
        style: (cell, text) => (text === '0' ? cell : paint('yellow', cell)),
      },
      { title: 'SCHEDULE', shrinks: true, drops: true },
      ...(hasLabels ? [{ title: 'LABELS', shrinks: true, drops: true }] : []),
    ],
    page.syncs.map(sync => [
      safe(sync.name),
      syncStateInWords(sync.state),
      isInterrupted(sync) ? 'interrupted' : lastRunInWords(sync),
      sync.lastRun === null ? '' : ago(sync.lastRun, now),
      sync.nextRunAt === null ? '' : `in ${elapsedShort(Date.parse(sync.nextRunAt) - now)}`,
      number(sync.rows.failed + sync.rows.heldBack),
      scheduleText(sync),
      ...(hasLabels ? [safe((sync.labels ?? []).join(', '))] : []),
    ]),
    { width: columns, paint },
  )
  lines.push(...page.syncs.flatMap(sync => remarksOn(sync, { now, paint, called })))
  if (page.syncs.some(isUnattended))
    lines.push(
      '',
      paint(
        'yellow',
        `No process runs these schedules now: \`${asTyped('sluice up', called)}\` does, as long as it runs.`,
      ),
    )
  if (page.next !== null) lines.push(paint('dim', `more: --after ${safe(page.next)}`))
  return `${lines.join('\n')}\n`
}

/** Returns the lines about a sync below the table. */
function remarksOn(
  { name, waiting, trouble, lastRun, stream, state, rows }: SyncView,
  {
    now,
    paint,
    called,
  }: { readonly now: number; readonly paint: Paint; readonly called: OutputOptions['called'] },
): readonly string[] {
  const lines: string[] = []
  const undelivered = rows.failed + rows.heldBack
  if (stream !== undefined && !isInterrupted({ state, lastRun }))
    lines.push(`${safe(name)} ${streamInWords({ ...stream, waiting: undelivered }, now)}`)
  if (trouble !== undefined) {
    lines.push(paint(trouble.isFailing ? 'red' : 'yellow', `${safe(name)}: ${troubleText(trouble, now)}`))
    if (state === 'held' && trouble.run !== null)
      lines.push(`  \`${asTyped(`sluice runs show ${trouble.run}`, called)}\` says what you can do`)
  }
  // The trouble of a run tells of its waits.
  if (trouble?.run !== lastRun?.id)
    for (const wait of waiting) lines.push(paint('yellow', `${safe(name)} ${waitText(wait, now)}`))
  return lines
}

/** For example `120 of 400 rows are rejected: HTTP 422. For 2 h, 6 runs.`. */
function troubleText(
  { text, quotesAnswer, since, runs }: NonNullable<SyncView['trouble']>,
  now: number,
): string {
  // The words of an API stay as they are.
  const told = safe(quotesAnswer === true ? text : timesFromNow(text, now))
  if (since === null) return told
  const ended = runs === 0 ? '' : `, ${counted(runs, 'run')}`
  return `${told} For ${elapsedShort(now - Date.parse(since))}${ended}.`
}

/** True for a sync with a schedule that no process runs. */
export function isUnattended(sync: SyncView): boolean {
  const { schedule, paused, nextRunAt, state } = sync
  if (paused || state === 'held') return false
  // A stream is at work without an instant that comes next.
  return schedule === 'continuous' ? isInterrupted(sync) : schedule !== 'manual' && nextRunAt === null
}

/** True if the last run has not ended, and no process works on it. */
function isInterrupted({ state, lastRun }: Pick<SyncView, 'state' | 'lastRun'>): boolean {
  return lastRun?.status === 'running' && state !== 'running'
}

function ago({ startedAt, endedAt }: NonNullable<SyncView['lastRun']>, now: number): string {
  const at = endedAt ?? startedAt
  return at === null ? '' : `${elapsedShort(now - Date.parse(at))} ago`
}

function scheduleText({ schedule }: SyncView): string {
  if (typeof schedule === 'string') return schedule
  if ('every' in schedule) return `every ${schedule.every}`
  return safe(schedule.timezone === undefined ? schedule.cron : `${schedule.cron} ${schedule.timezone}`)
}
