/**
 * What one partition sends, as metrics for operators. They hear of it once in a turn of the event loop. What
 * fails is traced.
 */
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import type { Traces } from '@sluice/runtime/traces/span'
import type { UnownedAttempt } from '../ledger/request-history.ts'
import { deliverPlace } from '../run/partition-spans.ts'

/** Most spans of a partition and a run. What failed besides is in the attempts. */
const MAX_SPANS = 20

/** Null where runs are not traced. */
export function failedAttempts(of: {
  readonly traces?: Traces | null | undefined
  readonly place: { readonly partition: number }
}): FailedAttempts | null {
  const { traces = null, place } = of
  return traces === null ? null : new FailedAttempts(traces, place.partition)
}

class FailedAttempts {
  readonly #traces: Traces
  readonly #partition: number
  #left = MAX_SPANS

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

export class SentMetrics {
  readonly #metrics: StageMetrics
  readonly #sync: string
  readonly #failed: FailedAttempts | null
  readonly #attempts = new Map<string, number>()
  #inFlight = 0
  #toldInFlight = 0
  #isPlanned = false

  constructor(stageMetrics: StageMetrics, sync: string, failed: FailedAttempts | null) {
    this.#metrics = stageMetrics
    this.#sync = sync
    this.#failed = failed
  }

  /** A request is handed to a socket (1), or was answered (−1). */
  inFlight(change: 1 | -1): void {
    this.#inFlight += change
    this.#plan()
  }

  attempted(attempt: UnownedAttempt): void {
    const { outcome } = attempt
    this.#failed?.take(attempt)
    this.#attempts.set(outcome, (this.#attempts.get(outcome) ?? 0) + 1)
    this.#plan()
  }

  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    setImmediate(() => this.#tell())
  }

  #tell(): void {
    this.#isPlanned = false
    const change = this.#inFlight - this.#toldInFlight
    this.#toldInFlight = this.#inFlight
    if (change !== 0) this.#metrics.inFlight(this.#sync, change)
    for (const [outcome, count] of this.#attempts) this.#metrics.attempted(this.#sync, outcome, count)
    this.#attempts.clear()
  }
}
