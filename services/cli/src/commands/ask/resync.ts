/** `sluice resync`. */
import { askAndShow } from '../../ask-and-show.ts'
import { textOption } from '../../command.ts'
import type { Command } from '../../command.ts'
import { EXITS_OF_RUNS } from '../../exit-codes.ts'

export const command: Command = {
  description:
    'Sends every row of the model again, even if nothing changed. Use it after somebody has changed rows at the API, or after you have added a column to the templates. Rows that were given up or discarded are sent, too. Rows that have left the model are removed as usual.\n' +
    'By default each row is sent as `added`, as if the API might not have it. With `--as changed`, rows that were delivered are sent as `changed`.\n' +
    'It is one run. The next run sends what this one does not deliver.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync whose rows are sent again' }],
  options: {
    as: {
      type: 'text',
      value: 'TRIGGER',
      choices: ['added', 'changed'],
      help: 'the trigger that sends the rows: added (default) or changed',
    },
  },
  exits: EXITS_OF_RUNS,
  examples: [
    { command: 'sluice resync customers', does: 'sends all rows as added' },
    { command: 'sluice resync customers --as changed', does: 'sends all rows as changed' },
  ],
  run: context => {
    const as = textOption(context.args, 'as') === 'changed' ? 'changed' : 'added'
    const name = context.args.positionals[0] ?? ''
    return askAndShow(context, (control, following) => control.ask('resync', { name, as }, following))
  },
}
