/**
 * Watches the reading of a topic in which a connector has only begun its first snapshot, since the topic is
 * new or was made again. Rows that the snapshot has not reached yet would seem to be removed.
 */
import type { ModelSpec } from '@sluice/contracts/resources'
import type { Entry } from './entry.ts'
import { topicError } from './topic-error.ts'

export class UnfinishedSnapshot {
  readonly #model: ModelSpec
  readonly #topic: string
  /** The entries of a snapshot that do not end it. A table of one row may have just one. */
  #begun = 0
  /** True once an entry ends a snapshot, or is a change: a connector sends changes behind its snapshot. */
  #isEnded = false

  constructor(model: ModelSpec, topic: string) {
    this.#model = model
    this.#topic = topic
  }

  see({ kind, snapshot }: Entry): void {
    if (snapshot === 'first' || snapshot === 'within') this.#begun += 1
    else if (kind !== 'passed') this.#isEnded = true
  }

  /** Throws `query` once all is read, if a snapshot has begun and nothing ends it. */
  assertWhole(): void {
    if (this.#isEnded || this.#begun <= 1) return
    const message =
      `The topic ${this.#topic} of model ${this.#model.name} has the beginning of a snapshot of Debezium and no record that ends it. ` +
      'Rows that the snapshot has not reached would seem to be removed, so nothing was taken. Run again once the connector has ended its snapshot.'
    throw topicError(message, { retryable: true })
  }
}
