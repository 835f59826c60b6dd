/**
 * Says what a failure concerns: a try, a sync or the process. This is the one place that decides what it
 * stops (R12).
 */
import { isSluiceError, type ErrorCode } from '@sluice/contracts/errors'

/**
 * - passing: the log was away, or a writer died or was fenced. Another takeover mends it, soon.
 * - sync: something of one sync is missing, wrong or refused, and stays so until somebody sees to it. That
 *   sync is set aside: its run ends as failed and says why, and it is tried again with growing pauses. All
 *   others go on.
 * - process: a bug, or what no sync of this process can do without.
 */
export type Concern = 'passing' | 'sync' | 'process'

/** The concern of an error that is not `retryable`. A retryable error passes, whatever its code. */
const OF_CODE: { readonly [code in ErrorCode]: Concern } = {
  fenced: 'passing',
  'writer-dead': 'passing',
  /** Its resources, its definition or its templates. */
  config: 'sync',
  template: 'sync',
  query: 'sync',
  'missing-file': 'sync',
  'not-found': 'sync',
  forbidden: 'sync',
  'schema-incompatible': 'sync',
  'too-long': 'sync',
  'too-large': 'sync',
  /**
   * The sync's topics have another number of partitions, are emptied or deleted, or hold records that are not
   * Sluice's.
   */
  conflict: 'sync',
  'offset-out-of-range': 'sync',
  'lost-topic': 'sync',
  corrupt: 'sync',
  /** Kafka answers and refuses: the process lacks a right to a topic, a group or a writer of this sync. */
  unreachable: 'sync',
  /**
   * The disk of the log is full or broken. All syncs of a process share it. A full disk of one run ends that
   * run alone.
   */
  disk: 'process',
  /** The log was closed while something was still at work on it. */
  aborted: 'process',
  usage: 'process',
  internal: 'process',
}

/** Says what a failure in the work of one sync concerns. An error that is no `SluiceError` is a bug. */
export function concernOf(error: unknown): Concern {
  if (!isSluiceError(error)) return 'process'
  return error.retryable ? 'passing' : OF_CODE[error.code]
}
