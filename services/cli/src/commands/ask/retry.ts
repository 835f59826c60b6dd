/** `sluice retry`. */
import { askAndShow } from '../../ask-and-show.ts'
import type { Command } from '../../command.ts'
import { failedRows, KEY_OPTION, STATUS_OPTION } from '../../history-options.ts'
import { EXITS_OF_RUNS } from '../../exit-codes.ts'

export const command: Command = {
  description:
    'Retries rows that were not delivered. Without options it is an ordinary run, like `sluice run`: it sends these rows as they are now, and all other rows that have changed. For a row that no longer differs from what was delivered, it sends nothing.\n' +
    'With `--key` or `--status` it sends only the waiting rows that fit, and leaves the other rows to the next run. With both options it sends the rows that fit both. `sluice failed SYNC` lists the rows that wait.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync whose rows are retried' }],
  options: { key: KEY_OPTION, status: STATUS_OPTION },
  exits: EXITS_OF_RUNS,
  examples: [
    { command: 'sluice retry customers', does: 'retries all rows that wait, with progress and a summary' },
    { command: 'sluice retry customers --key 5', does: 'retries one row' },
  ],
  run: context =>
    askAndShow(context, (control, following) => control.ask('retry', failedRows(context.args), following)),
}
