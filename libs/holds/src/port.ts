/**
 * Holds: whoever is at work on a partition says so, for as long as it is. A successor waits until the hold is
 * gone, and so lets a predecessor that is alive finish what it has under way. A hold fences nobody: the log
 * does that. It expires with its holder, so nobody ever waits long for the dead.
 *
 * Errors are `SluiceError`s: `unreachable` (retryable), and `config` where the server wants other settings,
 * which is retryable once it has worked. Methods may be called concurrently.
 */
import type { SluiceError } from '@sluice/contracts/errors'

/**
 * A name that is held. States: held ⇄ doubtful (not renewed in time) → lost (somebody else has it), any →
 * released.
 */
export interface Hold extends AsyncDisposable {
  /** False once it was not renewed within its life, or somebody else has it; the log's fence decides then. */
  readonly held: boolean
}

export interface Holds extends AsyncDisposable {
  /** Why the holds' server does not answer, or refuses, as was last seen; null while all is well. */
  readonly trouble: SluiceError | null
  /**
   * Waits until nobody has this name, takes it, and keeps it until it is disposed. Those who wait are served
   * in no order. Rejects with the signal's reason, and as soon as the holds' server does not answer.
   */
  acquire(name: string, options: { signal: AbortSignal }): Promise<Hold>
}
