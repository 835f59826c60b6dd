/**
 * Metrics of the requests that one partition sends, updated once in a turn of the event loop, and spans of
 * its failed attempts.
 */
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import type { Traces } from '@sluice/runtime/traces/span'
import type { UnownedAttempt } from '../ledger/request-history.ts'
import { deliverySpanPlace } from '../run/partition-spans.ts'

/** A partition traces at most this many failures of a run. The topic `attempts` has all of them. */
const MAX_SPANS = 20

/** Returns null if runs are not traced. */
export function failedAttemptsTrace({
  traces = null,
  partition,
}: {
  readonly traces?: Traces | null | undefined
  readonly partition: number
}): FailedAttempts | null {
  return traces === null ? null : new FailedAttempts(traces, partition)
}

class FailedAttempts {
  readonly #traces: Traces
  readonly #partition: number
  #left = MAX_SPANS

  constructor(traces: Traces, partition: number) {
    this.#traces = traces
    this.#partition = partition
  }

  /** Traces an attempt that was sent and failed, and ignores any other. */
  take(attempt: UnownedAttempt): void {
    const { outcome, runId, seq, method, url, status, error, startedAt, durationMs } = attempt
    if (outcome === 'delivered' || attempt.attempt === 0 || this.#left === 0) return
    this.#left -= 1
    const parent = deliverySpanPlace(this.#partition)
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

export class SentMetrics {
  readonly #metrics: StageMetrics
  readonly #sync: string
  readonly #failed: FailedAttempts | null
  readonly #attempts = new Map<string, number>()
  #inFlight = 0
  #reportedInFlight = 0
  #isScheduled = false

  constructor(stageMetrics: StageMetrics, sync: string, failed: FailedAttempts | null) {
    this.#metrics = stageMetrics
    this.#sync = sync
    this.#failed = failed
  }

  /** Counts a request that is handed to a socket (1), or was answered (−1). */
  inFlight(change: 1 | -1): void {
    this.#inFlight += change
    this.#schedule()
  }

  attempted(attempt: UnownedAttempt): void {
    const { outcome } = attempt
    this.#failed?.take(attempt)
    this.#attempts.set(outcome, (this.#attempts.get(outcome) ?? 0) + 1)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#update())
  }

  #update(): void {
    this.#isScheduled = false
    const change = this.#inFlight - this.#reportedInFlight
    this.#reportedInFlight = this.#inFlight
    if (change !== 0) this.#metrics.inFlight(this.#sync, change)
    for (const [outcome, count] of this.#attempts) this.#metrics.attempted(this.#sync, outcome, count)
    this.#attempts.clear()
  }
}
