/**
 * Counts and logs requests that were refused because of their caller. Anybody may be refused as often as they
 * like, so the log gets at most one line a second. Each line has the number of refusals that it left out.
 */
import { isSluiceError } from '@sluice/contracts/errors'
import type { Logger } from '@sluice/runtime/logger'
import type { Metrics } from '@sluice/runtime/metrics'
import { Refusal, REFUSALS } from '../api/access.ts'

const LINE_MS = 1_000

export interface RefusalsOptions {
  readonly logger: Logger
  readonly metrics?: Metrics | undefined
  /** Milliseconds since any moment. */
  readonly now?: () => number
}

export class Refusals {
  readonly #logger: Logger
  readonly #now: () => number
  readonly #counter
  #nextLineAt = -Infinity
  #omitted = 0

  constructor({ logger, metrics, now = () => performance.now() }: RefusalsOptions) {
    this.#logger = logger
    this.#now = now
    this.#counter = metrics?.counter({
      name: 'api_refused_total',
      help: 'Requests of the API that were refused because of their caller',
      labels: ['reason'],
    })
    for (const reason of REFUSALS) this.#counter?.add(0, { reason })
  }

  /** Counts the error, and logs it, if it is a refusal. */
  note(
    error: unknown,
    request: { readonly address: string; readonly method: string; readonly path: string },
  ): void {
    const reason = error instanceof Refusal ? error.why : isSluiceError(error, 'forbidden') ? 'role' : null
    if (reason === null) return
    this.#counter?.add(1, { reason })
    // A browser asks without a token before somebody logs in.
    if (reason === 'no-token') return
    if (this.#now() < this.#nextLineAt) {
      this.#omitted += 1
      return
    }
    this.#logger.warn({ reason, ...request, omitted: this.#omitted }, 'the API refused a request')
    this.#omitted = 0
    this.#nextLineAt = this.#now() + LINE_MS
  }
}
