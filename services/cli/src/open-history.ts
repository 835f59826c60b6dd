/** Opens the history that the commands look at. */
import { loggerFor } from './cli-logger.ts'
import type { CommandContext } from './command.ts'
import { hasHistory, openPipeline } from './compose.ts'
import { LogHistory } from './log-history.ts'
import { loadProject } from '@sluice/project/load-project'
import { namesOf } from '@sluice/project/project'
import type { RunHistory } from './run-history.ts'
import { EmptyHistory } from './empty-history.ts'

/**
 * The history of the project that the command was called for; empty where nothing ever ran, and then nothing
 * is written.
 */
export async function openHistory(context: CommandContext): Promise<RunHistory> {
  const { dir, env, signal } = context
  const project = await loadProject(dir, { env, signal })
  const syncs = new Set(namesOf(project, 'sync'))
  if (!hasHistory(context)) return new EmptyHistory(syncs)
  const pipeline = await openPipeline({ dir, env, logger: loggerFor(context), signal })
  return LogHistory.open(pipeline, syncs, signal)
}
