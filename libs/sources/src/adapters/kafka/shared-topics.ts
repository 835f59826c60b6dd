/**
 * The connections to a cluster, and the tails of its topics, that all streams of this process share. They are
 * closed with the last stream.
 */
import { createHash } from 'node:crypto'
import type { ModelSpec } from '@sluice/contracts/resources'
import { primaryKeyOf } from '@sluice/domain/definition'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import { createKafkaLog, type KafkaMessageLog } from '@sluice/message-log/adapters/kafka'
import { ForeignSchemas } from '@sluice/schema-codec/adapters/foreign-schemas'
import type { KafkaAccess } from './access.ts'
import { EntryDecoder } from './decode-entries.ts'
import { PartitionTails } from './topic-tail.ts'

/**
 * The most bytes of records that the tails of a topic hold. The batches that come next may have as many.
 */
const TOPIC_BYTES = 8_000_000
const MIN_PARTITION_BYTES = 65_536
/** Kafka tells nobody that a topic was made anew or got partitions. So it is asked. */
const WATCH_MS = 5_000

const clusters = new Map<string, SharedTopics>()

/** Returns what streams with the same access share. The caller calls `release` once. */
export function shareTopics(access: KafkaAccess, isGuarded: boolean): SharedTopics {
  const { brokers, sasl, ssl } = access.log
  const text = JSON.stringify([brokers, sasl, ssl, access.registry?.url, access.registry?.tls, isGuarded])
  const key = createHash('sha256').update(text).digest('hex')
  const found = clusters.get(key) ?? new SharedTopics(access, () => clusters.delete(key))
  clusters.set(key, found)
  found.hold()
  return found
}

/** What is known of a topic by now: its id, and how many partitions it has. Null if it is gone. */
export type WatchedTopic = { readonly id: string; readonly partitions: number } | null

export class SharedTopics {
  readonly log: KafkaMessageLog
  readonly #schemas: ForeignSchemas | null
  readonly #onEnd: () => void
  readonly #topics = new Map<string, SharedTopic>()
  #users = 0

  constructor(access: KafkaAccess, onEnd: () => void) {
    this.log = createKafkaLog(access.log)
    this.#schemas = access.registry === null ? null : new ForeignSchemas(access.registry)
    this.#onEnd = onEnd
  }

  hold(): void {
    this.#users += 1
  }

  async release(): Promise<void> {
    this.#users -= 1
    if (this.#users > 0) return
    this.#onEnd()
    await this.log[Symbol.asyncDispose]()
  }

  /**
   * Returns a topic for one more reader of models with this key and format. The caller calls `leave` once.
   */
  join(topic: string, model: ModelSpec): SharedTopic {
    const { format = 'rows' } = model
    const primaryKey = primaryKeyOf(model)
    const key = JSON.stringify([topic, format, primaryKey])
    const decoder = (): EntryDecoder => new EntryDecoder({ format, schemas: this.#schemas, primaryKey })
    const found =
      this.#topics.get(key) ??
      new SharedTopic({ log: this.log, topic, decoder, onEnd: () => this.#topics.delete(key) })
    this.#topics.set(key, found)
    found.hold()
    return found
  }
}

interface SharedTopicOptions {
  readonly log: KafkaMessageLog
  readonly topic: string
  readonly decoder: () => EntryDecoder
  readonly onEnd: () => void
}

export class SharedTopic {
  /** Wakes the readers of the topic. */
  readonly changes = new Notifier()
  readonly #options: SharedTopicOptions
  readonly #tails = new Map<number, PartitionTails>()
  readonly #over = new AbortController()
  #watched: WatchedTopic | undefined = undefined
  #users = 0

  constructor(options: SharedTopicOptions) {
    this.#options = options
    void this.#watch()
  }

  hold(): void {
    this.#users += 1
  }

  leave(): void {
    this.#users -= 1
    if (this.#users > 0) return
    this.#options.onEnd()
    this.#over.abort(new Error('no reader is left'))
  }

  /** Undefined until Kafka was asked for the first time. */
  get watched(): WatchedTopic | undefined {
    return this.#watched
  }

  tailsOf(partition: number, partitions: number): PartitionTails {
    const found = this.#tails.get(partition)
    if (found !== undefined) return found
    const { log, topic, decoder } = this.#options
    const limitBytes = Math.max(MIN_PARTITION_BYTES, Math.floor(TOPIC_BYTES / partitions))
    const made = new PartitionTails({ log, topic, partition, decoder, limitBytes }, this.changes)
    this.#tails.set(partition, made)
    return made
  }

  async #watch(): Promise<void> {
    const { signal } = this.#over
    const { log, topic } = this.#options
    try {
      for (;;) {
        await sleep(WATCH_MS, { signal })
        // The readers themselves say why Kafka does not answer.
        const found = await log.identify(topic, { signal }).catch(() => undefined)
        if (found === undefined) continue
        const isNews = found?.id !== this.#watched?.id || found?.partitions !== this.#watched?.partitions
        this.#watched = found
        if (isNews) this.changes.notify()
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}
