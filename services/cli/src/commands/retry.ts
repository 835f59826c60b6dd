/** `sluice retry`. */
import { askForRun } from '../ask-and-follow.ts'
import type { Command } from '../command.ts'

export const command: Command = {
  description:
    'Tries the rows again that were not delivered. It is an ordinary run, as `sluice run` makes one: it sends these rows as they are now, if there is still something to say, and all else that has changed. `sluice failed SYNC` lists the rows that wait.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync whose rows are tried again' }],
  options: {},
  examples: [{ command: 'sluice retry customers', does: 'tries again, with progress and a summary' }],
  run: context => askForRun(context, { cause: 'retry' }),
}
