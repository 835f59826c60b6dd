/** Notices of a command: sentences beside its result, on stderr, so that stdout stays what was asked for. */
import type { CommandContext } from '../command.ts'
import { withTyped } from './called.ts'
import { painter, safe } from './paint.ts'

/** Tells each notice once. */
export function teller({
  stderr,
  errorColor,
  called,
}: Pick<CommandContext, 'stderr' | 'errorColor' | 'called'>) {
  const told = new Set<string>()
  return (notice: string): void => {
    if (told.has(notice)) return
    told.add(notice)
    stderr.write(`${painter(errorColor)('yellow', 'notice')}: ${safe(withTyped(notice, called))}\n`)
  }
}
