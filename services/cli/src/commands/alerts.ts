/** `sluice alerts` and `sluice alerts test`. */
import { SluiceError } from '@sluice/contracts/errors'
import type { AlertView } from '@sluice/contracts/specs/alert-views'
import { terminalColumns, type Command } from '../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../exit-codes.ts'
import { openControl } from '../open-control.ts'
import { withTyped, type Called } from '../output/called.ts'
import { painter, safe, wrap } from '../output/paint.ts'
import { table } from '../output/table.ts'
import { counted } from '../output/wording.ts'

export const alertsCommand: Command = {
  description:
    'Lists the alerts of the project. For each, it says which conditions hold now and since when, when the last notice was sent, and which notices could not be sent yet, with the reason and the next attempt.\n' +
    '`sluice up` watches all syncs. On Kafka the console does. `sluice run` sends the notices of its own runs.\n' +
    'An alert is a document with `kind: alert` in the project; docs/reference/alert.md has its fields.',
  positionals: [],
  options: {},
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice alerts', does: 'what is wrong now, and whether notices were sent' },
    { command: 'sluice alerts --json', does: 'the same for scripts' },
  ],
  async run(context) {
    const { stdout, signal, json, color, called } = context
    await using control = await openControl(context)
    const view = await control.call('listAlerts', {}, { signal })
    if (json) stdout.write(`${JSON.stringify(view)}\n`)
    else stdout.write(alertsText(view.alerts, { color, called, columns: terminalColumns(stdout) }))
    return EXIT.success
  },
}

export const alertsTestCommand: Command = {
  description:
    'Sends a test notice to the recipient of the alert, and waits until it was taken. It changes no state. If the notice is not taken, the message has the reason, and the exit code is 5.',
  positionals: [{ name: 'ALERT', required: true, help: 'the alert to test' }],
  options: {},
  exits: { 5: 'the notice was not taken, or the server, Kafka, registry or Redis cannot be reached' },
  examples: [{ command: 'sluice alerts test team', does: 'shows whether notices arrive' }],
  async run(context) {
    const { stdout, signal, json, args } = context
    const [name] = args.positionals
    if (name === undefined || name === '') throw new SluiceError('usage', '`sluice alerts test` wants ALERT.')
    await using control = await openControl(context)
    const tested = await control.call('testAlert', { name }, { signal })
    stdout.write(json ? `${JSON.stringify(tested)}\n` : `A test notice went to ${tested.to}.\n`)
    return EXIT.success
  },
}

const NONE =
  'No alert is active. Here is one for a file of the project:\n\n' +
  '  kind: alert\n' +
  '  name: team\n' +
  '  syncs: all\n' +
  '  when: [run-failed, rows-failed: { share: 0.01 }, silent: { noSuccessFor: 1d }]\n' +
  '  to: { slack: { url: "https://hooks.slack.com/services/${secret:slack-path}" } }\n'

const USUAL_WIDTH = 110

function alertsText(
  alerts: readonly AlertView[],
  {
    color,
    called,
    columns,
  }: { readonly color: boolean; readonly called: Called; readonly columns: number | null },
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
  for (const alert of alerts) lines.push(...detailLines(alert, width, called))
  return `${lines.join('\n')}\n`
}

function detailLines(
  { name, firing, undelivered, state }: AlertView,
  width: number,
  called: Called,
): string[] {
  const details = firing.map(
    ({ sync, condition, since, text }) => `${sync}: ${condition} since ${minute(since)}: ${text}`,
  )
  if (undelivered !== null) {
    const { notices, since, tries, error, nextTryAt } = undelivered
    details.push(
      `${counted(notices, 'notice')} not sent since ${minute(since)}, after ${counted(tries, 'attempt')}: ${error}. Next attempt: ${minute(nextTryAt)}.`,
    )
  }
  if (state === 'unwatched')
    details.push(
      withTyped(
        'Nothing watches it yet: `sluice up` does, on Kafka the console, and `sluice run` for its own runs.',
        called,
      ),
    )
  if (details.length === 0) return []
  return ['', safe(name), ...details.flatMap(detail => wrap(safe(detail), width).map(line => `  ${line}`))]
}

/** `2026-11-26 19:20`, in UTC. */
function minute(time: string): string {
  return time.slice(0, 16).replace('T', ' ')
}
