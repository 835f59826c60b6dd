/** The vault of the project that the command was called for, wherever it is. */
import type { Control } from '@sluice/control/port'
import { loggerFor } from '../cli-logger.ts'
import type { CommandContext } from '../command.ts'
import { openSecrets } from '../compose.ts'
import { teller } from '../output/notice.ts'

/** Rejects with what `use` rejects with. */
export async function withSecrets<T>(
  context: CommandContext,
  use: (control: Control) => Promise<T>,
): Promise<T> {
  const { dir, env, signal } = context
  const options = { dir, env, logger: await loggerFor(context), signal, tell: teller(context) }
  await using secrets = await openSecrets(options)
  return await use(secrets)
}
