/** `sluice reset`. */
import { askAndShow } from '../../ask-and-show.ts'
import type { Command } from '../../command.ts'

export const command: Command = {
  description:
    'Forgets what was delivered, so that the next run is the first one again: it sends every row as added, or takes all as there, as `firstRun` says. Runs, attempts and failed rows of the sync are forgotten as well.\n' +
    'Nothing is sent, and nothing is removed at the API: rows that leave the model before the next run stay there. It is the way to other key columns, or to another number of partitions. Where the keys stay as they are, `sluice resync` sends all rows again and loses track of none.\n' +
    'It is refused while a run is under way.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync that begins anew' }],
  options: {},
  examples: [
    { command: 'sluice reset customers', does: 'forgets; the next `sluice run customers` begins anew' },
  ],
  run: context =>
    askAndShow(context, (control, following) => control.reset(context.args.positionals[0] ?? '', following)),
}
