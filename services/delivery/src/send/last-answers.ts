/**
 * Says in words why a destination gets nothing now, by its last failure or throttling. All partitions of a
 * process share these words. They quote nothing of an answer, since people who may not read answers see them.
 */
import { failureInWords } from '@sluice/domain/destination-health'
import { RecentMap } from '@sluice/flow/recent-map'
import { type Broken, MAX_PAUSE_MS } from '@sluice/rate-limit/port'

const MAX_DESTINATIONS = 10_000
const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS

export class LastAnswers {
  readonly #failures = new RecentMap<string, string>({ limit: MAX_DESTINATIONS })
  readonly #pauses = new RecentMap<string, string>({ limit: MAX_DESTINATIONS })

  /** Takes an attempt after which the destination counts as failing. */
  failed(
    destination: string,
    attempt: { readonly status: number | null; readonly error: string | null },
  ): void {
    this.#failures.set(destination, failureInWords(attempt.status, attempt.error))
  }

  /** Takes a throttled attempt. `askedMs` is the pause that its answer asked for; null if none. */
  throttled(destination: string, status: number | null, askedMs: number | null): void {
    const answer = status === null ? 'throttles requests' : `answers HTTP ${status}`
    const pause = askedMs === null ? 'so Sluice pauses' : `and asked for a pause of ${roughly(askedMs)}`
    const isCut = askedMs !== null && askedMs > MAX_PAUSE_MS
    const atMost = isCut ? `. Sluice asks again after ${roughly(MAX_PAUSE_MS)} at most` : ''
    this.#pauses.set(destination, `\`${destination}\` ${answer}, ${pause}${atMost}`)
  }

  /** The reason for a pause. */
  pauseText(destination: string): string {
    return this.#pauses.get(destination) ?? 'the API asked for a pause'
  }

  /** The reason for an open breaker. The process may have seen no failure itself. */
  brokenText(destination: string, { openedAt, failures }: Broken): string {
    const at = `${new Date(openedAt).toISOString().slice(0, 19)}Z`
    const failure = this.#failures.get(destination) ?? 'fails'
    return `\`${destination}\` ${failure}. ${failures} requests in a row failed, and Sluice stopped sending at ${at}`
  }
}

function roughly(ms: number): string {
  return ms < 2 * MINUTE_MS ? `${Math.ceil(ms / SECOND_MS)} s` : `${Math.ceil(ms / MINUTE_MS)} min`
}
