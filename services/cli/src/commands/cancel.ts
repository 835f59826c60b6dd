/** `sluice cancel`. */
import { askAndFollow } from '../ask-and-follow.ts'
import { loggerFor } from '../cli-logger.ts'
import type { Command } from '../command.ts'
import { hasHistory, openPipeline } from '../compose.ts'
import { assertStatus, findRun } from '../find-run.ts'
import { commandAbout } from '../follow-run.ts'
import { loadProject } from '../project/load-project.ts'
import { unknownRun } from '../unknown-names.ts'

export const command: Command = {
  description:
    'Ends a run that is queued, held or at work. Requests on their way are waited for. The rest becomes `unsent`, and the next run sends it.\n' +
    'If a `sluice run` in another terminal carries out the run itself, interrupt it there (Ctrl-C).',
  positionals: [{ name: 'RUN', required: true, help: 'the id of the run, as `sluice runs` lists it' }],
  options: {},
  examples: [
    { command: 'sluice cancel 01JDZ8M6W3V5T8Q9YB4K2N7R1C', does: 'ends the run and shows its figures' },
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
