/**
 * Failed attempts of one partition as spans of the run's trace: the first ones, since a run may have
 * millions.
 */
import type { Traces } from '@sluice/runtime/traces/span'
import type { UnownedAttempt } from '../ledger/request-history.ts'
import { deliverPlace } from '../run/partition-spans.ts'

/** Most spans of a partition and a run. What failed besides is in the attempts. */
const MOST_SPANS = 20

/** Null where runs are not traced. */
export function failedAttempts(of: {
  readonly traces?: Traces | null | undefined
  readonly place: { readonly partition: number }
}): FailedAttempts | null {
  const { traces = null, place } = of
  return traces === null ? null : new FailedAttempts(traces, place.partition)
}

export class FailedAttempts {
  readonly #traces: Traces
  readonly #partition: number
  #left = MOST_SPANS

  constructor(traces: Traces, partition: number) {
    this.#traces = traces
    this.#partition = partition
  }

  /** An attempt that went well, or was not sent, is passed over. */
  take(attempt: UnownedAttempt): void {
    const { outcome, runId, seq, method, url, status, error, startedAt, durationMs } = attempt
    if (outcome === 'delivered' || attempt.attempt === 0 || this.#left === 0) return
    this.#left -= 1
    const parent = deliverPlace(this.#partition)
    this.#traces.take({
      runId,
      place: `${parent}/${seq}/${attempt.attempt}/${startedAt}`,
      parent,
      name: `${method} ${attempt.trigger}`,
      isRequest: true,
      from: startedAt,
      to: startedAt + durationMs,
      error: error ?? outcome,
      attributes: {
        'http.request.method': method,
        'url.full': url,
        'http.response.status_code': status,
        'http.request.resend_count': attempt.attempt - 1,
        'sluice.outcome': outcome,
        'sluice.request': `${attempt.run}/${this.#partition}/${seq}`,
      },
    })
  }
}
