/** The table of `sluice runs`. */
import type { RunsPage, RunView } from '@sluice/contracts/api'
import { asTyped } from '../called.ts'
import { painter, safe } from '../paint.ts'
import { table } from '../table.ts'
import { clockTime, number, paintStatus, runDuration } from '../wording.ts'
import type { OutputOptions } from '../wording.ts'

const OPS = ['added', 'changed', 'removed'] as const

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
      run.status,
      run.startedAt === null ? '' : clockTime(run.startedAt, options.timeZone),
      runDuration(run, options.now),
      number(run.rowsRead),
      number(sum(run, 'delivered')),
      number(sum(run, 'rejected') + sum(run, 'unknown') + sum(run, 'unsent')),
      safe(run.error ?? ''),
    ]),
    { width: options.columns, paint },
  )
  if (page.next !== null) lines.push(paint('dim', `more: --after ${safe(page.next)}`))
  return `${lines.join('\n')}\n`
}

function sum(run: RunView, field: 'delivered' | 'rejected' | 'unknown' | 'unsent'): number {
  return OPS.reduce((total, op) => total + (run.triggers[op]?.[field] ?? 0), 0)
}
