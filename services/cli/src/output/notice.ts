/** Notices of a command: sentences beside its result, on stderr, so that stdout stays what was asked for. */
import type { CommandContext } from '../command.ts'
import { painter, safe } from './paint.ts'

/** Tells each notice once. */
export function teller({ stderr, errorColor }: Pick<CommandContext, 'stderr' | 'errorColor'>) {
  const told = new Set<string>()
  return (notice: string): void => {
    if (told.has(notice)) return
    told.add(notice)
    stderr.write(`${painter(errorColor)('yellow', 'notice')}: ${safe(notice)}\n`)
  }
}
