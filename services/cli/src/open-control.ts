/** Opens control of the project that the command was called for. */
import { ControlFor } from '@sluice/control/control-for'
import type { Control } from '@sluice/control/port'
import { ALL_ROLES } from '@sluice/control/roles'
import { loggerFor } from './cli-logger.ts'
import type { CommandContext } from './command.ts'
import { openControl as openControlOf, openSecrets, type FirstRun } from './compose.ts'
import { teller } from './output/notice.ts'

/**
 * Throws the errors of loading a project. A mistake in a resource stops only the syncs that use the resource,
 * but with `isWhole` it stops the command. Nothing is connected or written before a method needs it.
 */
export async function openControl(
  context: CommandContext,
  {
    isWhole = false,
    firstRun,
  }: { readonly isWhole?: boolean; readonly firstRun?: FirstRun | undefined } = {},
): Promise<Control> {
  const { dir, env, signal } = context
  const options = {
    dir,
    env,
    logger: await loggerFor(context),
    signal,
    tell: teller(context),
    isWhole,
    firstRun,
  }
  // The person who runs the command is its operator. A server asks who it is.
  return new ControlFor(ALL_ROLES, await openControlOf(options))
}

/** Calls `use` with control of the project's vault, wherever the vault is. Rejects as `use` does. */
export async function withSecrets<T>(
  context: CommandContext,
  use: (control: Control) => Promise<T>,
): Promise<T> {
  const { dir, env, signal } = context
  const options = { dir, env, logger: await loggerFor(context), signal, tell: teller(context) }
  await using secrets = await openSecrets(options)
  return await use(secrets)
}
