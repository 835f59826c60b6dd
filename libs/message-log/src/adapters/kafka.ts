import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { SASLOptions } from 'kafkajs'
import type { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type {
  GroupState,
  AppendResult,
  FencedWriter,
  LogRecord,
  LogStall,
  Membership,
  MessageLog,
  NewRecord,
  PartitionOffsets,
  ReadBatch,
  ReadOptions,
  TopicPartition,
  TopicSpec,
} from '../port.ts'
import { KafkaCluster, type Abort } from './kafka/cluster.ts'
import { socketFactory, type Address } from './kafka/connection.ts'
import { Fetcher } from './kafka/read/fetcher.ts'
import { groupMembers, groupStates, type GroupMember } from './kafka/groups.ts'
import { KafkaMembership } from './kafka/group.ts'
import { rawLogger } from './kafka/internals.ts'
import { readBackwards, readForward } from './kafka/read/reader.ts'
import type { TopicIdentity } from './kafka/own-requests.ts'
import { TopicSettings } from './kafka/topics/topic-settings.ts'
import { KafkaTopics } from './kafka/topics/topics.ts'
import { initProducer, KafkaWriter, LooseAppends } from './kafka/writer.ts'

export interface KafkaLogOptions {
  /** Some brokers as host:port. The adapter learns the others from the cluster. */
  readonly brokers: readonly string[]
  readonly clientId: string
  /** TLS: true, or Node's options (ca, cert, key, …). */
  readonly ssl?: boolean | ConnectionOptions
  readonly sasl?: SASLOptions
  /** Says how to set a login, for the error that Kafka wants one. Default: by the variables of a process. */
  readonly loginHint?: string
  /**
   * The replication factor of new topics. Default: the cluster's. With 3 or more, at least two replicas have
   * a record before it is acknowledged.
   */
  readonly replication?: number
  /**
   * True: reads no records of transactions that are open or were aborted, and `offsets` ends before the first
   * open one. Sluice itself writes no transactions. Default false.
   */
  readonly committedOnly?: boolean
  /** Makes sockets that refuse to connect to private networks. Absent: brokers may be in any network. */
  readonly guardedSocket?: (() => Socket) | undefined
  /** If false, a missing topic is a `not-found` error, which says how to make the topic. Default true. */
  readonly createTopics?: boolean
  /**
   * Calls retry for this time while Kafka does not answer. Then they reject with `unreachable`. Default 30 s.
   */
  readonly retryMs?: number
  /** A connection on which an answer takes longer than this counts as lost. Default 10 s. */
  readonly requestTimeoutMs?: number
  readonly connectTimeoutMs?: number
  /** Returns the address to connect to for an address that a broker advertises (tunnels, forwarded ports). */
  readonly route?: (advertised: Address) => Address
  readonly logger?: { debug(message: string): void }
  /** Called when a call has waited for Kafka for five seconds, and again once no call waits that long. */
  readonly onStall?: ((stall: LogStall) => void) | undefined
}

const LOGIN_HINT =
  'set SLUICE_KAFKA_SASL_MECHANISM, SLUICE_KAFKA_SASL_USERNAME and SLUICE_KAFKA_SASL_PASSWORD'

/** A log of which a reader can tell if a topic was made anew. */
export interface KafkaMessageLog extends MessageLog {
  /** Resolves with the id of a topic, and its number of partitions; null if there is no such topic. */
  identify(topic: string, options: Abort): Promise<TopicIdentity | null>
}

/**
 * Opens a Kafka cluster (3.9 and later) as a message log. It connects at the first call, and shares its
 * connections with no other log.
 */
export function createKafkaLog(options: KafkaLogOptions): KafkaMessageLog {
  return new KafkaLog(clusterOf(options), {
    replication: options.replication ?? null,
    create: options.createTopics ?? true,
    committedOnly: options.committedOnly ?? false,
  })
}

/**
 * Resolves with the settings of existing topics on the cluster; null if the user may not see them. Rejects as
 * a log does.
 */
export async function readTopicSettings(
  options: KafkaLogOptions,
  topics: readonly string[],
  { signal }: Abort,
): Promise<ReadonlyMap<string, { readonly [name: string]: string }> | null> {
  const cluster = clusterOf(options)
  try {
    return await new TopicSettings(cluster, { mayAlter: false }).found(topics, { signal })
  } finally {
    cluster.close()
  }
}

/**
 * Resolves with the names of the topics that the login may see, without Kafka's own. Rejects as a log does.
 */
export async function readTopicNames(
  options: KafkaLogOptions,
  { signal }: Abort,
): Promise<readonly string[]> {
  const cluster = clusterOf(options)
  try {
    return await cluster.retry('listing the topics', () => cluster.topicNames(), { signal })
  } finally {
    cluster.close()
  }
}

/** Resolves with the members of the groups whose names begin with `prefix`. Rejects as a log does. */
export async function readGroupMembers(
  options: KafkaLogOptions,
  prefix: string,
  { signal }: Abort,
): Promise<readonly GroupMember[]> {
  const cluster = clusterOf(options)
  try {
    return await groupMembers(cluster, prefix, { signal })
  } finally {
    cluster.close()
  }
}

function clusterOf(options: KafkaLogOptions): KafkaCluster {
  const { logger, sasl, ssl } = options
  return new KafkaCluster({
    brokers: options.brokers.map(parseAddress),
    retryMs: options.retryMs ?? 30_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
    onStall: options.onStall,
    connection: {
      clientId: options.clientId,
      ssl: ssl === undefined || ssl === false ? null : ssl === true ? {} : ssl,
      sasl: sasl ?? null,
      loginHint: options.loginHint ?? LOGIN_HINT,
      connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
      socketFactory: socketFactory(options.route ?? (address => address), options.guardedSocket),
      logger: rawLogger(logger === undefined ? null : message => logger.debug(message)),
    },
  })
}

function parseAddress(text: string): Address {
  const match = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(text.trim())
  const [, host, port] = match ?? []
  if (host === undefined || port === undefined)
    throw new SluiceError('config', `a Kafka broker is written host:port, found ${JSON.stringify(text)}`)
  return { host, port: Number(port) }
}

class KafkaLog implements KafkaMessageLog {
  readonly #cluster: KafkaCluster
  readonly #topics: KafkaTopics
  readonly #fetcher: Fetcher
  readonly #loose: LooseAppends
  readonly #writers = new Set<KafkaWriter>()
  readonly #memberships = new Set<KafkaMembership>()
  readonly #appending = new Set<Promise<unknown>>()
  #closing: Promise<void> | null = null

  constructor(
    cluster: KafkaCluster,
    topics: { replication: number | null; create: boolean; committedOnly: boolean },
  ) {
    this.#cluster = cluster
    this.#topics = new KafkaTopics(cluster, topics)
    this.#fetcher = new Fetcher(cluster, topics)
    this.#loose = new LooseAppends(cluster)
  }

  async ensureTopics(specs: readonly TopicSpec[], options: Abort): Promise<void> {
    this.#assertOpen()
    await this.#topics.ensure(specs, options)
  }

  async deleteTopics(topics: readonly string[], options: Abort): Promise<void> {
    this.#assertOpen()
    await this.#topics.remove(topics, options)
  }

  async partitionsOf(topic: string, options: Abort): Promise<number | null> {
    this.#assertOpen()
    return this.#topics.partitionsOf(topic, options)
  }

  async identify(topic: string, options: Abort): Promise<TopicIdentity | null> {
    this.#assertOpen()
    return this.#topics.identify(topic, options)
  }

  async openWriter(id: string, options: Abort): Promise<FencedWriter> {
    this.#assertOpen()
    const producer = await initProducer(this.#cluster, id, options)
    this.#assertOpen()
    const writer = new KafkaWriter(this.#cluster, {
      id,
      producer,
      onEnd: ended => this.#writers.delete(ended),
    })
    this.#writers.add(writer)
    return writer
  }

  async append(target: TopicPartition, records: readonly NewRecord[], options: Abort): Promise<AppendResult> {
    this.#assertOpen()
    const appending = this.#loose.append(target, records, options)
    this.#appending.add(appending)
    try {
      return await appending
    } finally {
      this.#appending.delete(appending)
    }
  }

  async offsets(target: TopicPartition, options: Abort): Promise<PartitionOffsets> {
    this.#assertOpen()
    return this.#topics.offsets(target, options)
  }

  read(target: TopicPartition, options: ReadOptions): AsyncIterable<ReadBatch> {
    return readForward(this.#readerContext(), target, options)
  }

  readBackwards(target: TopicPartition, options: Abort & { before?: number }): AsyncIterable<LogRecord> {
    return readBackwards(this.#readerContext(), target, options)
  }

  async trim(target: TopicPartition, before: number, options: Abort): Promise<void> {
    this.#assertOpen()
    await this.#topics.trim(target, before, options)
  }

  async join(group: string, topics: readonly string[], options: Abort): Promise<Membership> {
    this.#assertOpen()
    for (const topic of topics) {
      const there = await this.#topics.partitionsOf(topic, options)
      if (there === null) throw new SluiceError('not-found', `there is no topic ${topic}`)
    }
    this.#assertOpen()
    const onEnd = (ended: KafkaMembership) => this.#memberships.delete(ended)
    const membership = new KafkaMembership(this.#cluster, { group, topics, onEnd })
    this.#memberships.add(membership)
    await membership.start(options)
    return membership
  }

  async committed(group: string, topic: string, options: Abort): Promise<readonly (number | null)[]> {
    this.#assertOpen()
    return this.#topics.committed(group, topic, options)
  }

  async groupStates(groups: readonly string[], options: Abort): Promise<ReadonlyMap<string, GroupState>> {
    this.#assertOpen()
    return await groupStates(this.#cluster, groups, options)
  }

  /**
   * Lets appends under way finish and leaves the groups. Then it closes the connections, which ends readers
   * with `aborted`.
   */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.allSettled([
      ...this.#appending,
      ...[...this.#writers].map(writer => writer[Symbol.asyncDispose]()),
      ...[...this.#memberships].map(membership => membership.leave()),
    ])
    this.#cluster.close()
  }

  #readerContext() {
    return {
      fetcher: this.#fetcher,
      // A reader retries twice as long as other calls. So when a caller repeats a call that gave up, the
      // reader is still there.
      offsets: (target: TopicPartition, options: Abort) =>
        this.offsets(target, options).catch((error: unknown) => {
          if (isSluiceError(error, 'unreachable') && error.retryable) return this.offsets(target, options)
          throw error
        }),
    }
  }

  #assertOpen(): void {
    if (this.#closing !== null) throw new SluiceError('aborted', 'the log is closed')
  }
}
