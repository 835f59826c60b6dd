/** Writes topics as other programs do, for tests of the source that reads them. */
import { randomUUID } from 'node:crypto'
import kafkajs, { type Message } from 'kafkajs'

// Node finds only some names of this CommonJS package.
const { ConfigResourceTypes, Kafka, logLevel } = kafkajs

export interface WrittenRecord {
  /** Text, bytes, or null for a record without a key. An object is written as JSON. */
  readonly key: string | Buffer | object | null
  /** Null for a tombstone. */
  readonly value: string | Buffer | object | null
  readonly partition?: number
  /** In ms since 1970. */
  readonly timestamp?: number
}

export class TopicProducer implements AsyncDisposable {
  readonly topic: string
  readonly #kafka: kafkajs.Kafka
  readonly #producer
  readonly #made = randomUUID()

  private constructor(brokers: string, topic: string) {
    this.topic = topic
    this.#kafka = new Kafka({ clientId: 'outside', brokers: [brokers], logLevel: logLevel.NOTHING })
    this.#producer = this.#kafka.producer({ allowAutoTopicCreation: false, retry: { retries: 20 } })
  }

  /** Makes a topic with a name of its own. */
  static async make(
    brokers: string,
    options: { readonly partitions?: number; readonly settings?: { readonly [name: string]: string } } = {},
  ): Promise<TopicProducer> {
    const { partitions = 1, settings = {} } = options
    const made = new TopicProducer(brokers, `topic-${randomUUID()}`)
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
    await made.#asAdmin(async admin => {
      await admin.createTopics({
        waitForLeaders: false,
        topics: [{ topic: made.topic, numPartitions: partitions, configEntries }],
      })
      await made.#awaitLeaders(admin, partitions)
    })
    await made.#producer.connect()
    return made
  }

  async write(...records: readonly WrittenRecord[]): Promise<void> {
    await this.#producer.send({ topic: this.topic, messages: records.map(messageOf) })
  }

  /** Writes in a transaction. */
  async transact(end: 'commit' | 'abort', ...records: readonly WrittenRecord[]): Promise<void> {
    const producer = this.#kafka.producer({
      transactionalId: `outside-${this.#made}`,
      idempotent: true,
      maxInFlightRequests: 1,
      retry: { retries: 20 },
    })
    await producer.connect()
    try {
      const transaction = await producer.transaction()
      await transaction.send({ topic: this.topic, messages: records.map(messageOf) })
      await transaction[end]()
    } finally {
      await producer.disconnect()
    }
  }

  /** Deletes the topic and makes another one of its name. */
  async makeAnew(): Promise<void> {
    await this.#asAdmin(async admin => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [this.topic] })
      const numPartitions = topics[0]?.partitions.length ?? 1
      await admin.deleteTopics({ topics: [this.topic] })
      for (;;) {
        try {
          await admin.createTopics({ waitForLeaders: false, topics: [{ topic: this.topic, numPartitions }] })
          return await this.#awaitLeaders(admin, numPartitions)
        } catch (error) {
          // Kafka removes the one before in its own time.
          if (!(error instanceof Error) || !/exists/.test(`${error.message} ${JSON.stringify(error)}`))
            throw error
        }
      }
    })
  }

  /** Drops the records before these offsets, by partition; −1 stands for the end. */
  async dropBefore(...offsets: readonly number[]): Promise<void> {
    const partitions = offsets.map((offset, partition) => ({ partition, offset: String(offset) }))
    await this.#asAdmin(async admin => {
      // Only this makes the client know the leaders of the topic.
      await admin.fetchTopicOffsets(this.topic)
      await admin.deleteTopicRecords({ topic: this.topic, partitions })
    })
  }

  /** Sets settings of the topic, and unsets all others. */
  async set(settings: { readonly [name: string]: string }): Promise<void> {
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: this.topic, configEntries }]
    await this.#asAdmin(admin => admin.alterConfigs({ validateOnly: false, resources }))
  }

  async addPartitions(count: number): Promise<void> {
    await this.#asAdmin(async admin => {
      await admin.createPartitions({ topicPartitions: [{ topic: this.topic, count }] })
      // A producer learns of them by a new connection only.
      await this.#producer.disconnect()
      await this.#producer.connect()
    })
  }

  /** A busy broker learns late of a topic, and longer than the client waits. */
  async #awaitLeaders(admin: ReturnType<kafkajs.Kafka['admin']>, partitions: number): Promise<void> {
    for (;;) {
      const found = await admin.fetchTopicOffsets(this.topic).catch(() => [])
      if (found.length === partitions) return
    }
  }

  async #asAdmin(work: (admin: ReturnType<kafkajs.Kafka['admin']>) => Promise<unknown>): Promise<void> {
    const admin = this.#kafka.admin({ retry: { retries: 20 } })
    await admin.connect()
    try {
      await work(admin)
    } finally {
      await admin.disconnect()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.disconnect()
    await this.#asAdmin(admin => admin.deleteTopics({ topics: [this.topic] }))
  }
}

function messageOf({ key, value, partition, timestamp }: WrittenRecord): Message {
  return {
    key: bytesOf(key),
    value: bytesOf(value),
    ...(partition === undefined ? {} : { partition }),
    ...(timestamp === undefined ? {} : { timestamp: String(timestamp) }),
  }
}

function bytesOf(value: string | Buffer | object | null): string | Buffer | null {
  return value === null || typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value)
}
