/**
 * Whether the holds' server answers, for `/readyz`: without it nobody takes a partition over, and delivery
 * sends nothing. A hold that nobody else wants is taken and released now and then.
 */
import { randomUUID } from 'node:crypto'
import { sleep } from '@sluice/flow/sleep'
import type { Holds } from '@sluice/holds/port'

const EVERY_MS = 2_000
/** An answer takes milliseconds. */
const ANSWER_MS = 3_000

export interface HoldsWatch extends AsyncDisposable {
  check(): { readonly ok: boolean; readonly detail?: string }
}

/** Watches until disposed. The holds answered just now. */
export function watchHolds(
  holds: Holds,
  options: { readonly everyMs?: number; readonly answerMs?: number } = {},
): HoldsWatch {
  const { everyMs = EVERY_MS, answerMs = ANSWER_MS } = options
  const stop = new AbortController()
  let failure: string | null = null
  const ask = async (): Promise<void> => {
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(answerMs)])
    try {
      await using _free = await holds.acquire(`ready/${randomUUID()}`, { signal })
      failure = null
    } catch (error) {
      const isLate = signal.aborted && !stop.signal.aborted
      const why = error instanceof Error ? error.message : String(error)
      failure = isLate ? `Redis has not answered for ${answerMs} ms` : why
    }
  }
  const watching = (async () => {
    while (!stop.signal.aborted) {
      await sleep(everyMs, { signal: stop.signal }).catch(() => undefined)
      if (!stop.signal.aborted) await ask()
    }
  })()
  return {
    check: () => (failure === null ? { ok: true } : { ok: false, detail: failure }),
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await watching
    },
  }
}
