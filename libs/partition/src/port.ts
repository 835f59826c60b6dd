/**
 * The locks of partitions. A process has the lock of a partition while it works on it. A successor waits for
 * the lock, so that a predecessor that is alive can finish its work first. A lock does not prevent writes:
 * the log's fence does. A lock expires when its owner dies, so a successor never waits long for a dead
 * process.
 *
 * Errors are `SluiceError`s: `unreachable` (retryable), and `config` if the server wants other settings,
 * which is retryable once it has worked. Methods may be called concurrently.
 */
import type { SluiceError } from '@sluice/contracts/errors'

/**
 * A name that this process has locked. States: held ⇄ overdue (not renewed in time) → lost (another process
 * has it), any → released.
 */
export interface Lock extends AsyncDisposable {
  /** False once it was not renewed within its life, or another process has it. */
  readonly held: boolean
}

export interface Locks extends AsyncDisposable {
  /** The reason why the server did not answer last, or what it refused; null while all is well. */
  readonly trouble: SluiceError | null
  /**
   * Waits until the name is free, takes it, and keeps it until the lock is disposed. Waiters get it in no
   * particular order. Rejects with the signal's reason, and as soon as the server does not answer.
   */
  acquire(name: string, options: { signal: AbortSignal }): Promise<Lock>
}
