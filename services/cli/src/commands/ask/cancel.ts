/** `sluice cancel`. */
import { askAndShow } from '../../ask-and-show.ts'
import type { Command } from '../../command.ts'
import { EXITS_OF_RUNS } from '../../exit-codes.ts'

export const command: Command = {
  description:
    'Ends a run that is queued, held or at work. Sluice waits for requests on their way. The rest becomes `unsent`, and the next run sends it.',
  positionals: [{ name: 'RUN', required: true, help: 'the id of the run, as `sluice runs` lists it' }],
  options: {},
  exits: {
    ...EXITS_OF_RUNS,
    0: 'the run was cancelled, or every row had been delivered',
    1: 'the run failed',
  },
  examples: [
    { command: 'sluice cancel 01JDZ8M6W3V5T8Q9YB4K2N7R1C', does: 'ends the run and shows its figures' },
  ],
  run: context => {
    const [id = ''] = context.args.positionals
    return askAndShow(context, (control, following) => control.ask('cancel', { id }, following), {
      wants: 'cancelled',
    })
  },
}
