/** The alerts as a table, and below it what holds and what could not be told. */
import type { AlertView } from '@sluice/contracts/specs/alert-views'
import { painter, safe, wrap } from '../../output/paint.ts'
import { table } from '../../output/table.ts'
import { counted } from '../../output/wording.ts'

const NONE =
  'No alert is at work. Here is one for a file of the project:\n\n' +
  '  kind: alert\n' +
  '  name: team\n' +
  '  syncs: all\n' +
  '  when: [run-failed, rows-failed: { share: 0.01 }, silent: { noSuccessFor: 1d }]\n' +
  '  to: { slack: { url: "https://hooks.slack.com/services/${secret:slack-path}" } }\n'

const USUAL_WIDTH = 110

export function alertsText(
  alerts: readonly AlertView[],
  { color, columns }: { readonly color: boolean; readonly columns: number | null },
): string {
  if (alerts.length === 0) return NONE
  const paint = painter(color)
  const titles = [
    { title: 'ALERT' },
    {
      title: 'STATE',
      style: (cell: string, text: string) => (text === 'firing' ? paint('red', cell) : cell),
    },
    { title: 'SYNCS', shrinks: true },
    { title: 'TO', shrinks: true },
    { title: 'LAST NOTICE', drops: true },
  ]
  const rows = alerts.map(({ name, state, syncs, to, lastNotice }) =>
    [
      name,
      state,
      syncs === 'all' ? 'all' : syncs.join(', '),
      `${to.kind} ${to.address}`,
      lastNotice === null ? '' : minute(lastNotice.at),
    ].map(safe),
  )
  const lines = table(titles, rows, { width: columns, paint })
  const width = Math.max((columns ?? USUAL_WIDTH) - 4, 20)
  for (const alert of alerts) lines.push(...detailLines(alert, width))
  return `${lines.join('\n')}\n`
}

function detailLines({ name, firing, undelivered, state }: AlertView, width: number): string[] {
  const details = firing.map(
    ({ sync, condition, since, text }) => `${sync}: ${condition} since ${minute(since)}: ${text}`,
  )
  if (undelivered !== null) {
    const { notices, since, tries, error, nextTryAt } = undelivered
    details.push(
      `${counted(notices, 'notice')} not told since ${minute(since)}, after ${tries === 1 ? '1 try' : `${tries} tries`}: ${error}. Next try: ${minute(nextTryAt)}.`,
    )
  }
  if (state === 'unwatched')
    details.push(
      'Nobody has looked yet: `sluice up` watches, on Kafka the console, and `sluice run` its own runs.',
    )
  if (details.length === 0) return []
  return ['', safe(name), ...details.flatMap(detail => wrap(safe(detail), width).map(line => `  ${line}`))]
}

/** `2026-11-26 19:20`, in UTC. */
function minute(time: string): string {
  return time.slice(0, 16).replace('T', ' ')
}
