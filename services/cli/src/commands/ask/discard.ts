/** `sluice discard`. */
import { askAndShow } from '../../ask-and-show.ts'
import type { Command } from '../../command.ts'
import { failedRows, KEY_OPTION, STATUS_OPTION } from '../../history-options.ts'
import { EXITS_OF_RUNS } from '../../exit-codes.ts'

export const command: Command = {
  description:
    'Discards rows that were not delivered. They are not sent again until they change, or until `sluice resync`. Nothing is sent, and nothing is taken back at the API. `sluice failed SYNC` lists the rows that wait.\n' +
    'Without options it discards all rows that wait. With both options it discards the rows that fit both.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync whose rows are discarded' }],
  options: { key: KEY_OPTION, status: STATUS_OPTION },
  exits: { ...EXITS_OF_RUNS, 0: 'the rows are discarded', 3: 'a row is invalid' },
  examples: [
    { command: 'sluice discard customers --status 422', does: 'discards the rows that the API called wrong' },
    { command: 'sluice discard customers --key 5', does: 'discards one row' },
  ],
  run: context =>
    askAndShow(context, (control, following) => control.ask('discard', failedRows(context.args), following)),
}
