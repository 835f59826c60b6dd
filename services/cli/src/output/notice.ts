/** Notices of a command: sentences beside its result, on stderr, so that stdout stays what was asked for. */
import type { CommandContext } from '../command.ts'
import { withTyped } from './called.ts'
import { environmentOf, painter, safe } from './paint.ts'

/** What a command has told: it may open the project more than once. */
const toldTo = new WeakMap<CommandContext['stderr'], Set<string>>()

/** Tells each notice once. */
export function teller({
  stderr,
  errorColor,
  called,
}: Pick<CommandContext, 'stderr' | 'errorColor' | 'called'>) {
  const told = toldTo.get(stderr) ?? new Set<string>()
  toldTo.set(stderr, told)
  return (notice: string): void => {
    if (told.has(notice)) return
    told.add(notice)
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
