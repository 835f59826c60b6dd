/** Asks a person for a yes. */
import type { CommandContext } from '../command.ts'

/** False for every other answer, and for none. */
export async function confirmed(
  question: string,
  { stdin, stderr, signal }: Pick<CommandContext, 'stdin' | 'stderr' | 'signal'>,
): Promise<boolean> {
  stderr.write(`${question} [y/N] `)
  for await (const part of stdin) {
    signal.throwIfAborted()
    return /^y(es)?$/i.test(Buffer.from(part).toString('utf8').trim())
  }
  return false
}
