/** `sluice cancel`. */
import { askAndShow } from '../../ask-and-show.ts'
import type { Command } from '../../command.ts'

export const command: Command = {
  description:
    'Ends a run that is queued, held or under way, in good order: requests that are on their way are waited for, and the rest becomes `unsent`, to be sent by the next run.\n' +
    'A run that `sluice run` carries out itself is ended by an interrupt there (Ctrl-C).',
  positionals: [{ name: 'RUN', required: true, help: 'the id of the run, as `sluice runs` lists it' }],
  options: {},
  examples: [
    { command: 'sluice cancel 01JDZ8M6W3V5T8Q9YB4K2N7R1C', does: 'ends it and shows what it came to' },
  ],
  run: context => {
    const [id = ''] = context.args.positionals
    return askAndShow(context, (control, following) => control.cancel(id, following), { wants: 'cancelled' })
  },
}
