/** The Avro schemas of the records of `tests`. */
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
  record,
  text,
} from './types.ts'
import { attemptOutcome, op } from './run-schemas.ts'
import type { TestAttempt, TestRequest } from '../test-records.ts'

const headers = mapOf(text)

export const TEST_REQUEST_SCHEMA = record<TestRequest>('TestRequest', 'A request that a person tries out.', {
  id: field('ULID.', text),
  sync: field('Name of the sync.', text),
  definition: field('Hash of the definition whose destination gets it.', text),
  trigger: field('The trigger that made it.', op),
  method: field('HTTP method.', text),
  path: field("Appended to the destination's base URL; already percent-encoded.", text),
  headers: field('Headers of the trigger, without secrets.', headers),
  body: field('UTF-8 text.', nullable(bytes)),
  keys: field('Primary keys of its rows.', listOf(text)),
  withinMs: field('For so long after it was written it may be sent, in milliseconds.', long),
})

export const TEST_ATTEMPT_SCHEMA = record<TestAttempt>('TestAttempt', 'What became of such a request.', {
  id: field('ULID of the request.', text),
  sync: field('Name of the sync.', text),
  trigger: field('The trigger that made it.', op),
  keys: field('Primary keys of its rows.', listOf(text)),
  final: field('False while it is about to be sent.', boolean),
  outcome: field('What became of it.', attemptOutcome),
  status: field('HTTP status.', nullable(int)),
  error: field('Why it failed.', nullable(text)),
  method: field('HTTP method.', text),
  url: field('The URL, redacted.', text),
  requestHeaders: field('Headers as sent, redacted.', headers),
  requestBody: field('At most 64 KiB of the body.', nullable(text)),
  responseHeaders: field('Headers as received, redacted.', headers),
  responseBody: field('At most 64 KiB of the answer, redacted.', nullable(text)),
  startedAt: field('When it was sent.', millis),
  durationMs: field('How long it took, in milliseconds.', double),
})
