/** Whom a failure concerns: the one place that decides whether it stops a try, a sync or a process (R12). */
import { isSluiceError, type ErrorCode } from '@sluice/contracts/errors'

/**
 * - passing: the log was away, or a writer died or was fenced. Another takeover mends it, soon.
 * - sync: something of one sync is missing, wrong or refused, and stays so until somebody sees to it. That
 *   sync is set aside: its run ends as failed and says why, and it is tried again with growing pauses. All
 *   others go on.
 * - process: a bug, or what no sync of this process can do without.
 */
export type Concern = 'passing' | 'sync' | 'process'

/** Of an error that is not `retryable`; one that is passes, whatever its code. */
const OF_CODE: { readonly [code in ErrorCode]: Concern } = {
  fenced: 'passing',
  'writer-dead': 'passing',
  /** Its resources, its definition or its templates. */
  config: 'sync',
  template: 'sync',
  query: 'sync',
  'missing-file': 'sync',
  'not-found': 'sync',
  'schema-incompatible': 'sync',
  'too-long': 'sync',
  'too-large': 'sync',
  /** Its topics: with another number of partitions, emptied, deleted, or with records that are none. */
  conflict: 'sync',
  'offset-out-of-range': 'sync',
  'lost-topic': 'sync',
  corrupt: 'sync',
  /** Kafka answers, and says no: no right to a topic, a group or a writer of this sync. */
  unreachable: 'sync',
  /** The disk of the log that all syncs of a process share. Those of a run alone end that run. */
  disk: 'process',
  /** The log was closed under somebody who is at work. */
  aborted: 'process',
  usage: 'process',
  internal: 'process',
}

/** Whom a failure in the work of one sync concerns. What is no `SluiceError` is a bug. */
export function concernOf(error: unknown): Concern {
  if (!isSluiceError(error)) return 'process'
  return error.retryable ? 'passing' : OF_CODE[error.code]
}
