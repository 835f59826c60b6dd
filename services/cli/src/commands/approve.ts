/** `sluice approve`. */
import { SluiceError } from '@sluice/contracts/errors'
import { isDistributed } from '@sluice/runtime/distributed-settings'
import { askAndFollow } from '../ask-and-follow.ts'
import { loggerFor } from '../cli-logger.ts'
import type { Command } from '../command.ts'
import { hasHistory, openPipeline } from '../compose.ts'
import { assertStatus, findRun } from '../find-run.ts'
import { commandAbout } from '../follow-run.ts'
import { assertSecrets } from '../project/assert-secrets.ts'
import { loadProject } from '../project/load-project.ts'
import { resolveDefinition } from '../project/resolve-definition.ts'
import { unknownRun } from '../unknown-names.ts'

export const command: Command = {
  description:
    'Lets a held run go on. The removal guard holds a run that would remove more rows than the sync allows. `sluice runs show RUN` says how many, and names some of them.\n' +
    'The run looks again before it sends anything. If more rows would go by then than were shown, it is held again.',
  positionals: [{ name: 'RUN', required: true, help: 'the id of the held run, as `sluice runs` lists it' }],
  options: {},
  examples: [
    {
      command: 'sluice approve 01JDZ8M6W3V5T8Q9YB4K2N7R1C',
      does: 'detects again, and removes at most as many rows as were shown',
    },
  ],
  async run(context) {
    const { args, dir, env, signal } = context
    const id = args.positionals[0] ?? ''
    const project = await loadProject(dir, { env, signal })
    if (!hasHistory(context)) throw unknownRun(id)
    await using pipeline = await openPipeline({ dir, env, logger: loggerFor(context), signal })
    const held = await findRun(pipeline, id, signal)
    assertStatus(held, ['held'], 'approve')
    const definition = resolveDefinition(project, held.sync)
    if (!isDistributed(env)) assertSecrets(definition, env)
    if (held.held === null) throw new SluiceError('internal', `run ${id} does not say why it is held`)
    const about = commandAbout(held, 'approve')
    return await askAndFollow(context, pipeline, {
      project,
      definition,
      command: about,
      runId: held.runId,
      beyond: held,
    })
  },
}
