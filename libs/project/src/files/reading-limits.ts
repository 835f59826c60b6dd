/** Limits the time and memory that reading a project may take. Interrupts are handled between two steps. */
import { setImmediate } from 'node:timers/promises'
import { SluiceError } from '@sluice/contracts/errors'

const MAX_TOTAL_BYTES = 20_000_000
const MAX_RESOURCES = 10_000
const DEADLINE_MS = 30_000

export class ReadingLimits {
  readonly #root: string
  readonly #signal: AbortSignal
  readonly #deadlineMs: number
  readonly #startedMs = performance.now()
  #bytes = 0
  #resources = 0

  constructor(root: string, signal: AbortSignal, deadlineMs = DEADLINE_MS) {
    this.#root = root
    this.#signal = signal
    this.#deadlineMs = deadlineMs
  }

  /**
   * Lets the process handle signals of the system, before work on `file`. Rejects with the signal's reason
   * when aborted, and with `config` when reading has taken too long.
   */
  async step(file: string): Promise<void> {
    await setImmediate()
    this.#signal.throwIfAborted()
    if (performance.now() - this.#startedMs > this.#deadlineMs)
      throw this.#exceeded(`takes longer than ${this.#deadlineMs / 1000} s to read; it is at ${file}`)
  }

  /** Throws `config` if this file makes the project too large. */
  count(file: string, { bytes, resources }: { readonly bytes: number; readonly resources: number }): void {
    this.#bytes += bytes
    this.#resources += resources
    if (this.#bytes > MAX_TOTAL_BYTES)
      throw this.#exceeded(`has more than ${MAX_TOTAL_BYTES} bytes of YAML, with ${file}`)
    if (this.#resources > MAX_RESOURCES)
      throw this.#exceeded(`has more than ${MAX_RESOURCES} resources, with ${file}`)
  }

  #exceeded(what: string): SluiceError {
    return new SluiceError(
      'config',
      `The project in ${this.#root} ${what}. Name a smaller folder with --dir.`,
    )
  }
}
