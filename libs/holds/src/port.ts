/**
 * Holds: a process holds a partition for as long as it is at work on it. A successor waits until the hold is
 * gone, so that a predecessor that is alive can finish the work that it has under way. A hold fences nobody:
 * the log does that. It expires when its holder dies, so that a successor never waits long for a dead
 * process.
 *
 * Errors are `SluiceError`s: `unreachable` (retryable), and `config` if the server wants other settings,
 * which is retryable once it has worked. Methods may be called concurrently.
 */
import type { SluiceError } from '@sluice/contracts/errors'

/**
 * A name that is held. States: held ⇄ doubtful (not renewed in time) → lost (another process has it), any →
 * released.
 */
export interface Hold extends AsyncDisposable {
  /**
   * False once it was not renewed within its life, or another process has it. The log's fence decides then.
   */
  readonly held: boolean
}

export interface Holds extends AsyncDisposable {
  /**
   * Why the server of the holds does not answer, or refuses, by what was last seen; null while all is well.
   */
  readonly trouble: SluiceError | null
  /**
   * Waits until the name is free, takes it, and keeps it until the hold is disposed. Several waiters are
   * served in no order. Rejects with the signal's reason, and as soon as the server of the holds does not
   * answer.
   */
  acquire(name: string, options: { signal: AbortSignal }): Promise<Hold>
}
