/** `sluice cancel`. */
import { askAndFollow } from '../ask-and-follow.ts'
import { loggerFor } from '../cli-logger.ts'
import type { Command } from '../command.ts'
import { hasHistory, openPipeline } from '../compose.ts'
import { assertStatus, findRun } from '../find-run.ts'
import { commandAbout } from '../follow-run.ts'
import { loadProject } from '@sluice/project/load-project'
import { unknownRun } from '../unknown-names.ts'

export const command: Command = {
  description:
    'Ends a run that is queued, held or under way, in good order: requests that are on their way are waited for, and the rest becomes `unsent`, to be sent by the next run.\n' +
    'A run that `sluice run` carries out itself is ended by an interrupt there (Ctrl-C).',
  positionals: [{ name: 'RUN', required: true, help: 'the id of the run, as `sluice runs` lists it' }],
  options: {},
  examples: [
    { command: 'sluice cancel 01JDZ8M6W3V5T8Q9YB4K2N7R1C', does: 'ends it and shows what it came to' },
  ],
  async run(context) {
    const { args, dir, env, signal } = context
    const id = args.positionals[0] ?? ''
    await loadProject(dir, { env, signal })
    if (!hasHistory(context)) throw unknownRun(id)
    await using pipeline = await openPipeline({ dir, env, logger: loggerFor(context), signal })
    const run = await findRun(pipeline, id, signal)
    assertStatus(run, ['queued', 'running', 'held'], 'cancel')
    const { definition: hash, runId, status } = run
    const definition = hash === null ? null : await pipeline.definitions.get(hash, { signal })
    const asked = { project: null, definition, command: commandAbout(run, 'cancel'), runId }
    const held = status === 'held' ? { beyond: run } : {}
    return await askAndFollow(context, pipeline, { ...asked, ...held })
  },
}
