import { SluiceError } from '@sluice/contracts/errors'
import type { PartitionOffsets, TopicPartition, TopicSpec } from '../../../port.ts'
import { type Abort, type KafkaCluster, name } from '../cluster.ts'
import { ConnectionLost, ProtocolError, toSluiceError } from '../errors.ts'
import { READ_COMMITTED, READ_UNCOMMITTED, type TopicIdentity, topicRequest } from '../own-requests.ts'
import { settingsOf } from '../../../kafka-settings.ts'
import { TopicSettings } from './topic-settings.ts'

const EARLIEST = '-2'
const LATEST = '-1'

/** The description of a topic in the request CreateTopics. */
interface TopicDescription {
  readonly topic: string
  readonly numPartitions: number
  readonly replicationFactor: number
  readonly configEntries: readonly { readonly name: string; readonly value: string }[]
}

/** Topics, offsets and trimming: requests that a broker answers at once. */
export class KafkaTopics {
  readonly #cluster: KafkaCluster
  readonly #replication: number | null
  readonly #create: boolean
  readonly #committedOnly: boolean
  readonly #settings: TopicSettings

  constructor(
    cluster: KafkaCluster,
    options: { replication: number | null; create: boolean; committedOnly: boolean },
  ) {
    this.#cluster = cluster
    this.#replication = options.replication
    this.#create = options.create
    this.#committedOnly = options.committedOnly
    this.#settings = new TopicSettings(cluster, { mayAlter: options.create })
  }

  async ensure(specs: readonly TopicSpec[], options: Abort): Promise<void> {
    options.signal.throwIfAborted()
    const distinct = [...new Map(specs.map(each => [each.topic, each])).values()]
    const missing: TopicSpec[] = []
    for (const spec of distinct) {
      this.#cluster.forget(spec.topic)
      if ((await this.partitionsOf(spec.topic, options)) === null) missing.push(spec)
    }
    if (missing.length > 0 && !this.#create) throw this.#toBeMade(missing)
    await this.#settings.correct(
      distinct.filter(spec => !missing.includes(spec)),
      options,
    )
    for (const spec of missing) await this.#make(spec, options)
    for (const spec of distinct) await this.#awaitReady(spec, options)
  }

  /** Returns the error that names the missing topics, and the commands of Kafka's own tool that make them. */
  #toBeMade(specs: readonly TopicSpec[]): SluiceError {
    const commands = specs.map(spec => {
      const { numPartitions, replicationFactor, configEntries } = this.#description(spec)
      const replicas = replicationFactor === -1 ? '' : ` --replication-factor ${replicationFactor}`
      const settings = configEntries.map(({ name: setting, value }) => ` --config ${setting}=${value}`)
      const made = `--create --topic ${spec.topic} --partitions ${numPartitions}${replicas}${settings.join('')}`
      return `kafka-topics.sh --bootstrap-server ${this.#cluster.bootstrap} ${made}`
    })
    return new SluiceError(
      'not-found',
      `Kafka lacks topics, and Sluice is configured not to make them itself. Make them:\n${commands.join('\n')}`,
    )
  }

  async #make(spec: TopicSpec, options: Abort): Promise<void> {
    await this.#cluster.retry(
      `making the topic ${spec.topic}`,
      async () => {
        try {
          await this.#cluster.callAny({ api: 'CreateTopics', args: { topics: [this.#description(spec)] } })
        } catch (error) {
          // Another process was quicker, or the answer to an earlier successful attempt was lost.
          if (!(error instanceof ProtocolError && error.type === 'TOPIC_ALREADY_EXISTS')) throw error
        }
      },
      options,
    )
  }

  #description(spec: TopicSpec): TopicDescription {
    const replication = this.#replication
    return {
      topic: spec.topic,
      numPartitions: spec.partitions,
      replicationFactor: replication ?? -1,
      configEntries: Object.entries(settingsOf(spec, replication)).map(([setting, value]) => ({
        name: setting,
        value,
      })),
    }
  }

  /** Waits until every broker knows the topic with all its partitions. */
  async #awaitReady(spec: TopicSpec, options: Abort): Promise<void> {
    const subject = `making the topic ${spec.topic}`
    await this.#cluster.retry(
      subject,
      async () => {
        this.#cluster.forget(spec.topic)
        const leaders = await this.#cluster.leaders(spec.topic).catch((error: unknown) => {
          // The broker that was asked does not know the topic yet.
          if (error instanceof SluiceError && error.code === 'not-found') throw notYet(spec.topic)
          throw error
        })
        if (leaders.size !== spec.partitions)
          throw new SluiceError(
            'conflict',
            `the topic ${spec.topic} has ${leaders.size} partitions, not ${spec.partitions}`,
          )
        for (const node of this.#cluster.nodes) {
          const known = await this.#cluster.partitionsAt(node, spec.topic)
          if (known !== spec.partitions) throw notYet(spec.topic)
        }
      },
      options,
    )
  }

  async remove(topics: readonly string[], options: Abort): Promise<void> {
    options.signal.throwIfAborted()
    for (const topic of new Set(topics)) {
      const subject = `deleting the topic ${topic}`
      await this.#cluster.retry(
        subject,
        async () => {
          try {
            await this.#cluster.callAny({ api: 'DeleteTopics', args: { topics: [topic] } })
          } catch (error) {
            if (!(error instanceof ProtocolError && error.type === 'UNKNOWN_TOPIC_OR_PARTITION')) throw error
          }
          this.#cluster.forget(topic)
          for (const node of this.#cluster.nodes) {
            const known = await this.#cluster.partitionsAt(node, topic)
            if (known !== null) throw new ConnectionLost(`broker ${node} still has the topic ${topic}`)
          }
        },
        options,
      )
    }
  }

  async partitionsOf(topic: string, options: Abort): Promise<number | null> {
    return this.#cluster.retry(
      `looking up the topic ${topic}`,
      async () => {
        this.#cluster.forget(topic)
        try {
          return (await this.#cluster.leaders(topic)).size
        } catch (error) {
          if (error instanceof SluiceError && error.code === 'not-found') return null
          throw error
        }
      },
      options,
    )
  }

  /** Resolves with null if there is no such topic. */
  async identify(topic: string, options: Abort): Promise<TopicIdentity | null> {
    return this.#cluster.retry(
      `looking up the topic ${topic}`,
      () => this.#cluster.sendAny(topicRequest(topic)),
      options,
    )
  }

  /**
   * Resolves with the low offset and the end. The end is the high watermark, or the last stable offset for a
   * log that reads committed records only.
   */
  async offsets(target: TopicPartition, options: Abort): Promise<PartitionOffsets> {
    return this.#cluster.retry(
      `looking up the offsets of ${name(target)}`,
      () =>
        this.#cluster.atLeader(target, async node => {
          const [low, end] = await Promise.all(
            [EARLIEST, LATEST].map(time => this.#listOffset(node, target, time)),
          )
          return { low: low ?? 0, end: end ?? 0 }
        }),
      options,
    )
  }

  async #listOffset(node: number, target: TopicPartition, timestamp: string): Promise<number> {
    const topics = [{ topic: target.topic, partitions: [{ partition: target.partition, timestamp }] }]
    const answer = await this.#cluster.call<{
      responses: readonly { partitions: readonly { offset: string }[] }[]
    }>(node, 'main', {
      api: 'ListOffsets',
      args: {
        replicaId: -1,
        isolationLevel: this.#committedOnly ? READ_COMMITTED : READ_UNCOMMITTED,
        topics,
      },
    })
    return Number(answer.responses[0]?.partitions[0]?.offset ?? -1)
  }

  async trim(target: TopicPartition, before: number, options: Abort): Promise<void> {
    const subject = `trimming ${name(target)} below ${before}`
    const { low, end } = await this.offsets(target, options)
    if (before > end)
      throw toSluiceError(new ProtocolError('OFFSET_OUT_OF_RANGE', `it ends at ${end}`), subject)
    if (before <= low) return
    const topics = [
      { topic: target.topic, partitions: [{ partition: target.partition, offset: String(before) }] },
    ]
    await this.#cluster.retry(
      subject,
      () => this.#cluster.atLeader(target, node => this.#deleteRecords(node, topics)),
      options,
    )
  }

  /**
   * Deletes at the leader without waiting for the replicas. The wait would block this connection for half a
   * second. If another broker becomes the leader before the replicas have deleted, the partition keeps too
   * many records until it is trimmed again.
   */
  async #deleteRecords(node: number, topics: readonly object[]): Promise<void> {
    try {
      await this.#cluster.call(node, 'main', { api: 'DeleteRecords', args: { topics, timeout: 0 } })
    } catch (error) {
      if (!(error instanceof ProtocolError && error.type === 'REQUEST_TIMED_OUT')) throw error
    }
  }

  async committed(group: string, topic: string, options: Abort): Promise<(number | null)[]> {
    const count = await this.partitionsOf(topic, options)
    if (count === null) throw new SluiceError('not-found', `there is no topic ${topic}`)
    const partitions = Array.from({ length: count }, (_, partition) => ({ partition }))
    const answer = await this.#cluster.retry(
      `looking up the offsets of the group ${group}`,
      async () => {
        const node = await this.#cluster.coordinator('group', group)
        return this.#cluster.call<{
          responses: readonly { partitions: readonly { partition: number; offset: string }[] }[]
        }>(node, 'main', { api: 'OffsetFetch', args: { groupId: group, topics: [{ topic, partitions }] } })
      },
      options,
    )
    const found = new Map(
      answer.responses.flatMap(({ partitions: each }) =>
        each.map(({ partition, offset }) => [partition, Number(offset)]),
      ),
    )
    return partitions.map(({ partition }) => {
      const offset = found.get(partition) ?? -1
      return offset < 0 ? null : offset
    })
  }
}

/** Returns a transient error. The brokers learn of a new topic one after the other. */
const notYet = (topic: string) => new ConnectionLost(`not every broker knows the topic ${topic} yet`)
