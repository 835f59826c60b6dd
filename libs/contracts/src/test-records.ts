/**
 * The records of `tests` (PROTOCOL.md §12): requests that a person sends to try a sync out. They change no
 * state.
 */
import {
  boolean,
  bytes,
  double,
  field,
  int,
  listOf,
  long,
  mapOf,
  millis,
  nullable,
  recordOf,
  text,
  type ValueOf,
} from './avro/types.ts'
import { attemptOutcome, op } from './state.ts'

/** One request, rendered, to be sent once to the destination of a definition. */
export const testRequest = recordOf('TestRequest', 'A request that a person tries out.', {
  /** Attempts have it instead of the id of a run. */
  id: field('ULID.', text),
  sync: field('Name of the sync.', text),
  definition: field('Hash of the definition whose destination gets it.', text),
  trigger: field('The trigger that made it.', op),
  method: field('HTTP method.', text),
  path: field("Appended to the destination's base URL; already percent-encoded.", text),
  headers: field('Headers of the trigger, without secrets.', mapOf(text)),
  body: field('UTF-8 text.', nullable(bytes)),
  keys: field('Primary keys of its rows.', listOf(text)),
  withinMs: field('For so long after it was written it may be sent, in milliseconds.', long),
})
export type TestRequest = ValueOf<typeof testRequest>

/** The attempt of a test. One record is written before it is sent, and one with its outcome. */
export const testAttempt = recordOf('TestAttempt', 'What became of such a request.', {
  id: field('ULID of the request.', text),
  sync: field('Name of the sync.', text),
  trigger: field('The trigger that made it.', op),
  keys: field('Primary keys of its rows.', listOf(text)),
  /** While it is false, the request may be on its way. */
  final: field('False while it is about to be sent.', boolean),
  outcome: field('What became of it.', attemptOutcome),
  status: field('HTTP status.', nullable(int)),
  error: field('Why it failed.', nullable(text)),
  method: field('HTTP method.', text),
  url: field('The URL, redacted.', text),
  requestHeaders: field('Headers as sent, redacted.', mapOf(text)),
  requestBody: field('At most 64 KiB of the body.', nullable(text)),
  responseHeaders: field('Headers as received, redacted.', mapOf(text)),
  responseBody: field('At most 64 KiB of the answer, redacted.', nullable(text)),
  startedAt: field('When it was sent.', millis),
  durationMs: field('How long it took, in milliseconds.', double),
})
export type TestAttempt = ValueOf<typeof testAttempt>
