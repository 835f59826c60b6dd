/** `sluice approve`. */
import { askAndShow } from '../../ask-and-show.ts'
import type { Command } from '../../command.ts'
import { EXITS_OF_RUNS } from '../../exit-codes.ts'

export const command: Command = {
  description:
    'Lets a held run go on. The removal guard holds a run that would remove more rows than the sync allows. `sluice runs show RUN` says how many, and names some of them.\n' +
    'The run reads the model again before it sends anything. If it would then remove more rows than you were shown, it is held again.',
  positionals: [{ name: 'RUN', required: true, help: 'the id of the held run, as `sluice runs` lists it' }],
  options: {},
  exits: EXITS_OF_RUNS,
  examples: [
    {
      command: 'sluice approve 01JDZ8M6W3V5T8Q9YB4K2N7R1C',
      does: 'detects again, and removes at most as many rows as you were shown',
    },
  ],
  run: context =>
    askAndShow(context, (control, following) =>
      control.approve(context.args.positionals[0] ?? '', following),
    ),
}
