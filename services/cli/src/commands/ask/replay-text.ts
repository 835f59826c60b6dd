/** What a replay would send, for people. */
import type { ReplayView } from '@sluice/contracts/api'
import { OPS } from '@sluice/contracts/state'
import { painter, safe } from '../../output/paint.ts'
import { table } from '../../output/table.ts'
import { counted, number } from '../../output/wording.ts'
import type { OutputOptions } from '../../output/wording.ts'

/** Keys that are shown of a request. */
const MAX_KEYS = 5

export function replayText(view: ReplayView, options: OutputOptions): string {
  const paint = painter(options.color)
  const { sync, requests, rows, first, notRecorded } = view
  const lines: string[] = []
  if (requests === 0) lines.push(`No recorded request of \`${sync}\` is as asked for.`)
  else {
    lines.push(`${counted(requests, 'recorded request')} of \`${sync}\`, with ${counted(rows, 'row')}:`, '')
    const perTrigger = OPS.flatMap(op => {
      const of = view.triggers[op]
      return of === undefined ? [] : [[op, number(of.requests), number(of.rows)]]
    })
    const width = options.columns
    const count = { align: 'right' } as const
    const columns = [{ title: 'trigger' }, { title: 'requests', ...count }, { title: 'rows', ...count }]
    lines.push(...table(columns, perTrigger, { width, paint }), '')
    lines.push(
      first.length < requests
        ? `The first ${number(first.length)}, in the order of sending:`
        : 'In this order:',
    )
    const shown = first.map(({ trigger, method, path, keys }) => [
      trigger,
      method,
      safe(path),
      keysText(keys),
    ])
    lines.push(
      ...table(
        [
          { title: 'trigger' },
          { title: 'method' },
          { title: 'path', shrinks: true },
          { title: 'keys', shrinks: true, drops: true },
        ],
        shown,
        { width, paint },
      ),
    )
  }
  if (notRecorded.requests > 0)
    lines.push(
      '',
      `Not recorded any more, so not sent again: ${counted(notRecorded.requests, 'request')} of ${counted(notRecorded.runs, 'run')}.`,
    )
  for (const notice of view.notices) lines.push(paint('dim', `note: ${safe(notice)}`))
  return `${lines.join('\n')}\n`
}

function keysText(keys: readonly string[]): string {
  const shown = keys.slice(0, MAX_KEYS).map(key => safe(key))
  const more = keys.length - shown.length
  return more > 0 ? `${shown.join(', ')} and ${number(more)} more` : shown.join(', ')
}
