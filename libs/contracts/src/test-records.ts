/**
 * The records of `tests` (PROTOCOL.md §12): requests that a person sends to try a sync out. They change no
 * state. `avro-test-schemas.ts` has the same shapes in Avro.
 */
import type { Op, Outcome } from './state.ts'

/** One request, rendered, to be sent once to the destination of a definition. */
export interface TestRequest {
  /** ULID. It stands for the run that an attempt otherwise has. */
  readonly id: string
  readonly sync: string
  /** Hash of the definition. */
  readonly definition: string
  readonly trigger: Op
  readonly method: string
  /** As in `Request`. */
  readonly path: string
  readonly headers: { readonly [name: string]: string }
  readonly body: Uint8Array | null
  /** The keys of its rows. */
  readonly keys: readonly string[]
  /** For so long after the record was written it may be sent, in ms. */
  readonly withinMs: number
}

/** What became of a test, or that it is about to be sent. */
export interface TestAttempt {
  readonly id: string
  readonly sync: string
  readonly trigger: Op
  readonly keys: readonly string[]
  /** False while it is about to be sent: it may be on its way. */
  readonly final: boolean
  readonly outcome: Outcome | 'throttled'
  readonly status: number | null
  readonly error: string | null
  readonly method: string
  /** As in `Attempt`, redacted. */
  readonly url: string
  readonly requestHeaders: { readonly [name: string]: string }
  readonly requestBody: string | null
  readonly responseHeaders: { readonly [name: string]: string }
  readonly responseBody: string | null
  readonly startedAt: number
  readonly durationMs: number
}
