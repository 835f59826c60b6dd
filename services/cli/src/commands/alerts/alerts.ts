/** `sluice alerts`. */
import { terminalColumns, type Command } from '../../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../../exit-codes.ts'
import { openControl } from '../../open-control.ts'
import { alertsText } from './alerts-text.ts'

export const command: Command = {
  description:
    'Lists the alerts of the project. For each, it says what holds now and since when, when it told something last, and which notices could not be told yet, with the reason and the next try.\n' +
    '`sluice up` watches all syncs. On Kafka the console does. `sluice run` tells what its own runs caused.\n' +
    'An alert is a document with `kind: alert` in the project; docs/reference/alert.md has its fields.',
  positionals: [],
  options: {},
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice alerts', does: 'what is wrong now, and whether somebody was told' },
    { command: 'sluice alerts --json', does: 'the same for scripts' },
  ],
  async run(context) {
    const { stdout, signal, json, color } = context
    await using control = await openControl(context)
    const view = await control.call('listAlerts', {}, { signal })
    if (json) stdout.write(`${JSON.stringify(view)}\n`)
    else stdout.write(alertsText(view.alerts, { color, columns: terminalColumns(stdout) }))
    return EXIT.success
  },
}
