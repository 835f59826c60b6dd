/** Opens control of the project that the command was called for. */
import { projectCatalog } from '@sluice/control/catalog'
import type { Control } from '@sluice/control/port'
import { ProjectControl } from '@sluice/control/project-control'
import { loadProject } from '@sluice/project/load-project'
import { loggerFor } from './cli-logger.ts'
import type { CommandContext } from './command.ts'
import { placeOf } from './compose.ts'
import { teller } from './output/notice.ts'

/**
 * Throws the errors of loading a project. It connects to nothing and writes nothing before a method needs it.
 */
export async function openControl(context: CommandContext): Promise<Control> {
  const { dir, env, signal } = context
  const project = await loadProject(dir, { env, signal })
  const place = placeOf({ dir, env, logger: loggerFor(context), signal, tell: teller(context) })
  return new ProjectControl(projectCatalog(project), place)
}
