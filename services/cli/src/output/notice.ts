/** Notices of a command: sentences beside its result, on stderr, so that stdout stays what was asked for. */
import type { CommandContext } from '../command.ts'
import { withTyped } from './called.ts'
import { environmentOf, painter, safe } from './paint.ts'

/** The notices that were printed. A command that opens the project twice gets them twice. */
const printedOn = new WeakMap<CommandContext['stderr'], Set<string>>()

/** Returns a function that prints each notice once. */
export function teller({
  stderr,
  errorColor,
  called,
}: Pick<CommandContext, 'stderr' | 'errorColor' | 'called'>) {
  const printed = printedOn.get(stderr) ?? new Set<string>()
  printedOn.set(stderr, printed)
  return (notice: string): void => {
    if (printed.has(notice)) return
    printed.add(notice)
    stderr.write(`${painter(errorColor)('yellow', 'notice')}: ${safe(withTyped(notice, called))}\n`)
  }
}

/** Prints the environment above a result for people, if there is one. A server has its own. */
export function showEnvironment({
  env,
  json,
  stdout,
  color,
}: Pick<CommandContext, 'env' | 'json' | 'stdout' | 'color'>): void {
  const name = (env['SLUICE_URL'] ?? '') === '' ? environmentOf(env) : null
  if (name !== null && !json) stdout.write(`${painter(color)('dim', 'environment')} ${safe(name)}\n`)
}
