/** `sluice run`. */
import { askForRun } from '../../ask-and-show.ts'
import type { Command } from '../../command.ts'

export const command: Command = {
  description:
    'Reads the model, finds the rows that were added, changed or removed since they were last delivered, sends the requests, and waits for the outcome.\n' +
    'Rows that are not delivered are tried again on the next run. Ctrl-C ends the run cleanly: the next run sends what was not sent yet.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync to run' }],
  options: {},
  examples: [
    { command: 'sluice run customers', does: 'one run, with progress and a summary' },
    {
      command: 'sluice run customers --json',
      does: 'for scripts: the run as JSON; the exit code tells how it went',
    },
  ],
  run: context => askForRun(context),
}
