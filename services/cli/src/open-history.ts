/** Opens the history that the commands look at. */
import { SluiceError } from '@sluice/contracts/errors'
import type { CommandContext } from './command.ts'
import type { RunHistory } from './run-history.ts'

/** The history of the project that the command was called for. */
export async function openHistory(_context: CommandContext): Promise<RunHistory> {
  throw new SluiceError('internal', 'The embedded pipeline is not connected.')
}
