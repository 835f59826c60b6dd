/** `sluice run`. */
import { SluiceError } from '@sluice/contracts/errors'
import type { Command } from '../command.ts'
import { loadProject } from '../project/load-project.ts'
import { resolveDefinition } from '../project/resolve-definition.ts'

export const command: Command = {
  description:
    'Reads the model, finds the rows that were added, changed or removed since they were last delivered, sends the requests, and waits for the outcome.\n' +
    'Rows that are not delivered are tried again on the next run. Interrupting it ends the run cleanly: what was not sent yet is sent by the next.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync to run' }],
  options: {},
  examples: [
    { command: 'sluice run customers', does: 'one run, with progress and a summary' },
    {
      command: 'sluice run customers --json',
      does: 'for scripts: the run as JSON; the exit code tells how it went',
    },
  ],
  async run({ args, dir, env, signal }) {
    const project = await loadProject(dir, { env, signal })
    resolveDefinition(project, args.positionals[0] ?? '')
    throw new SluiceError('internal', 'The embedded pipeline is not connected.')
  },
}
