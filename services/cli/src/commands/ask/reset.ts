/** `sluice reset`. */
import { askAndShow } from '../../ask-and-show.ts'
import type { Command } from '../../command.ts'
import { EXITS_OF_ASKING } from '../../exit-codes.ts'

export const command: Command = {
  description:
    'Forgets what was delivered, with the runs, attempts and failed rows of the sync. The next run is the first one again: it sends every row as added or takes all rows as delivered, depending on `firstRun`.\n' +
    'Nothing is sent, and nothing is removed at the API: rows that leave the model before the next run stay at the API. Use a reset to change the key columns or the number of partitions. To send all rows again, use `sluice resync`, which forgets none.\n' +
    'It is refused while a run is queued or at work.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync that is forgotten' }],
  options: {},
  exits: {
    0: 'what was delivered is forgotten',
    1: 'a run is at work or queued, or the reset failed',
    ...EXITS_OF_ASKING,
    130: 'interrupted',
  },
  examples: [
    { command: 'sluice reset customers', does: 'forgets; the next `sluice run customers` is the first one' },
  ],
  run: context =>
    askAndShow(context, (control, following) =>
      control.ask('reset', { name: context.args.positionals[0] ?? '' }, following),
    ),
}
