/** Opens the vault of the project that the command was called for. */
import type { Vault } from '@sluice/vault/vault'
import { loggerFor } from '../cli-logger.ts'
import type { CommandContext } from '../command.ts'
import { openVaultOf } from '../compose.ts'
import { teller } from '../output/notice.ts'

/** Rejects with `conflict` if another process has the folder open, and with what `use` rejects with. */
export async function withVault<T>(context: CommandContext, use: (vault: Vault) => Promise<T>): Promise<T> {
  const { dir, env, signal } = context
  const options = { dir, env, logger: loggerFor(context), signal, tell: teller(context) }
  await using opened = await openVaultOf(options)
  return await use(opened.vault)
}
