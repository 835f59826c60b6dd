/** `sluice run`. */
import { isDistributed } from '@sluice/runtime/distributed-settings'
import { loggerFor } from '../cli-logger.ts'
import { askAndFollow } from '../ask-and-follow.ts'
import type { Command } from '../command.ts'
import { openPipeline } from '../compose.ts'
import { runCommand } from '../follow-run.ts'
import { loadProject } from '../project/load-project.ts'
import { resolveDefinition } from '../project/resolve-definition.ts'
import { assertSecrets } from '../project/assert-secrets.ts'

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
  async run(context) {
    const { args, dir, env, signal } = context
    const sync = args.positionals[0] ?? ''
    const project = await loadProject(dir, { env, signal })
    const definition = resolveDefinition(project, sync)
    // Elsewhere, the secrets are where the services are.
    if (!isDistributed(env)) assertSecrets(definition, env)
    await using pipeline = await openPipeline({ dir, env, logger: loggerFor(context), signal })
    const asked = runCommand(pipeline, sync)
    return await askAndFollow(context, pipeline, { project, definition, command: asked, runId: asked.id })
  },
}
