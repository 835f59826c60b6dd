import { SluiceError } from '@sluice/contracts/errors'
import { abortable } from '@sluice/flow/abortable'
import { retry } from '@sluice/flow/retry'
import type { LogStall, TopicPartition } from '../../port.ts'
import { KafkaConnection, type Address } from './connection.ts'
import { ConnectionLost, isTransient, ProtocolError, toSluiceError } from './errors.ts'
import type { ApiName, ConnectionSettings, OwnRequest } from './internals.ts'
import { SpareBuffers } from '../spare-buffers.ts'
import { StallWatch, type Waiting } from './stalls.ts'

export interface ClusterSettings {
  readonly brokers: readonly Address[]
  readonly connection: ConnectionSettings
  /** Calls retry for this time while Kafka does not answer. */
  readonly retryMs: number
  /** A connection on which an answer takes longer than this counts as lost. */
  readonly requestTimeoutMs: number
  /** Called when Kafka has not answered for some seconds, and when it answers again. */
  readonly onStall?: ((stall: LogStall) => void) | undefined
}

export interface Abort {
  readonly signal: AbortSignal
}

/** Chooses the connection to a broker for a request. Requests in one lane wait for each other. */
export type Lane = 'main' | `produce-${number}` | `fetch-${string}` | `group-${string}`

/** Partition number → the broker that leads it. */
type Leaders = ReadonlyMap<number, number>

interface MetadataAnswer {
  readonly brokers: readonly { nodeId: number; host: string; port: number }[]
  readonly topicMetadata: readonly {
    topic: string
    partitionMetadata: readonly { partitionId: number; leader: number }[]
  }[]
}

/** The pauses between attempts after transient failures. */
export const PAUSES = { firstMs: 50, maxMs: 1_000 } as const

/**
 * The brokers of a cluster as one log sees them: the leader of each partition, and the connections. A
 * connection is opened when it is first needed, and shared by all requests to the same broker and lane.
 * States: open → closed.
 */
export class KafkaCluster {
  readonly settings: ClusterSettings
  /** For the batches of all writers. */
  readonly spareBuffers = new SpareBuffers()
  readonly #nodes = new Map<number, Address>()
  readonly #topics = new Map<string, Leaders>()
  readonly #connections = new Map<string, Promise<KafkaConnection>>()
  readonly #closing = new AbortController()
  readonly #stalls: StallWatch
  #nextSeed = 0

  constructor(settings: ClusterSettings) {
    this.settings = settings
    this.#stalls = new StallWatch({ onStall: settings.onStall ?? ignore })
  }

  /** Aborts when the log is closed. */
  get closed(): AbortSignal {
    return this.#closing.signal
  }

  /** Registers a wait for an answer. The caller ends it when it has the answer or gives up. */
  waiting(subject: string): Waiting {
    return this.#stalls.begin(subject)
  }

  close(): void {
    this.#stalls[Symbol.dispose]()
    this.#closing.abort(new SluiceError('aborted', 'the log is closed'))
    for (const connection of this.#connections.values()) connection.then(open => open.close(), ignore)
    this.#connections.clear()
  }

  /**
   * Retries `work` after transient failures until it succeeds, but no longer than `retryMs`. Rejects with the
   * signal's reason, or with a SluiceError that names `subject`.
   */
  async retry<T>(subject: string, work: () => Promise<T>, { signal }: Abort): Promise<T> {
    const waiting = this.waiting(subject)
    try {
      return await this.untilKnown(subject, () => abortable(work(), { signal }), { signal })
    } finally {
      waiting.end()
    }
  }

  /** Retries as `retry` does, but an abort does not interrupt an attempt, and no stall is reported. */
  async untilKnown<T>(subject: string, work: () => Promise<T>, { signal }: Abort): Promise<T> {
    try {
      return await retry(
        () => {
          this.closed.throwIfAborted()
          return work()
        },
        { pauses: PAUSES, withinMs: this.settings.retryMs, mayPass: isTransient, signal },
      )
    } catch (error) {
      throw toSluiceError(error, subject)
    }
  }

  /** Sends one request to one broker, once. Rejects with ConnectionLost or ProtocolError. */
  async call<T>(
    node: number,
    lane: Lane,
    request: { api: ApiName; args: object; timeoutMs?: number },
  ): Promise<T> {
    const connection = await this.connection(node, lane)
    return connection.call<T>(request.api, request.args, request.timeoutMs ?? this.settings.requestTimeoutMs)
  }

  /** Sends one request to any broker that answers. It tries each known broker once. */
  async callAny<T>(request: { api: ApiName; args: object }): Promise<T> {
    const connection = await this.#anyConnection()
    return connection.call<T>(request.api, request.args, this.settings.requestTimeoutMs)
  }

  /** Sends a request of our own to any broker that answers, as `callAny` does. */
  async sendAny<T>(request: OwnRequest<T>): Promise<T> {
    const connection = await this.#anyConnection()
    return connection.send<T>(request, this.settings.requestTimeoutMs)
  }

  /** Returns the connection of a broker and lane, and opens it if necessary. It does not retry. */
  async connection(node: number, lane: Lane): Promise<KafkaConnection> {
    const address = this.#nodes.get(node)
    if (address !== undefined) return this.#connect(address, lane)
    await this.#refresh([])
    const found = this.#nodes.get(node)
    if (found === undefined) throw new ConnectionLost(`broker ${node} is not in the cluster now`)
    return this.#connect(found, lane)
  }

  /** Closes a lane's connection to each broker, so that requests under way on it reject. */
  closeLane(lane: Lane): void {
    for (const [key, connection] of this.#connections) {
      if (!key.endsWith(`|${lane}`)) continue
      this.#connections.delete(key)
      connection.then(open => open.close(), ignore)
    }
  }

  /** Resolves with the broker that leads a partition. It does not retry. */
  async leaderOf(target: TopicPartition): Promise<number> {
    const leader = (await this.leaders(target.topic)).get(target.partition)
    if (leader === undefined) throw new SluiceError('not-found', `there is no partition ${name(target)}`)
    if (leader < 0) {
      this.forget(target.topic)
      throw new ProtocolError('LEADER_NOT_AVAILABLE', name(target))
    }
    return leader
  }

  /**
   * Runs `work` at the leader of a partition, once. After a transient failure, the next call for the topic
   * asks the cluster again for the leaders.
   */
  async atLeader<T>(target: TopicPartition, work: (node: number) => Promise<T>): Promise<T> {
    try {
      return await work(await this.leaderOf(target))
    } catch (error) {
      if (isTransient(error)) this.forget(target.topic)
      throw error
    }
  }

  /**
   * Resolves with the last known leaders of a topic's partitions. It does not retry. Rejects with a
   * SluiceError if the topic does not exist.
   */
  async leaders(topic: string): Promise<Leaders> {
    const known = this.#topics.get(topic)
    if (known !== undefined) return known
    await this.#refresh([topic])
    const found = this.#topics.get(topic)
    if (found === undefined) throw new SluiceError('not-found', `there is no topic ${topic}`)
    return found
  }

  /** Forgets the leaders of the topic, so that the next call asks the cluster again. */
  forget(topic: string): void {
    this.#topics.delete(topic)
  }

  /** The configured brokers, as `host:port` with commas. */
  get bootstrap(): string {
    return this.settings.brokers.map(({ host, port }) => `${host}:${port}`).join(',')
  }

  /** The last known brokers of the cluster. */
  get nodes(): number[] {
    return [...this.#nodes.keys()]
  }

  /**
   * Resolves with the number of a topic's partitions for which one broker knows a leader, or null if the
   * broker does not know the topic. It does not retry.
   */
  async partitionsAt(node: number, topic: string): Promise<number | null> {
    const args = { topics: [topic], allowAutoTopicCreation: false }
    try {
      const answer = await this.call<MetadataAnswer>(node, 'main', { api: 'Metadata', args })
      const partitions = answer.topicMetadata.find(entry => entry.topic === topic)?.partitionMetadata ?? []
      return partitions.filter(({ leader }) => leader >= 0).length
    } catch (error) {
      if (error instanceof ProtocolError && error.type === 'UNKNOWN_TOPIC_OR_PARTITION') return null
      throw error
    }
  }

  /** Resolves with the names of all topics but Kafka's own, in their order. It does not retry. */
  async topicNames(): Promise<readonly string[]> {
    const args = { topics: [], allowAutoTopicCreation: false }
    const { topicMetadata } = await this.callAny<MetadataAnswer>({ api: 'Metadata', args })
    return topicMetadata
      .map(({ topic }) => topic)
      .filter(topic => !topic.startsWith('__'))
      .sort()
  }

  /** Resolves with the broker that coordinates a group or a transactional id. It does not retry. */
  async coordinator(kind: 'group' | 'transaction', key: string): Promise<number> {
    const args = { groupId: key, coordinatorType: kind === 'group' ? 0 : 1 }
    const answer = await this.callAny<{ coordinator: { nodeId: number; host: string; port: number } }>({
      api: 'GroupCoordinator',
      args,
    })
    const { nodeId, host, port } = answer.coordinator
    this.#learn(nodeId, { host, port })
    return nodeId
  }

  async #refresh(topics: readonly string[]): Promise<void> {
    const args = { topics, allowAutoTopicCreation: false }
    let answer: MetadataAnswer
    try {
      answer = await this.callAny<MetadataAnswer>({ api: 'Metadata', args })
    } catch (error) {
      const unknown = error instanceof ProtocolError && error.type === 'UNKNOWN_TOPIC_OR_PARTITION'
      const [topic] = topics
      if (unknown && topic !== undefined) throw new SluiceError('not-found', `there is no topic ${topic}`)
      throw error
    }
    const present = new Set(answer.brokers.map(({ nodeId }) => nodeId))
    for (const node of this.#nodes.keys()) if (!present.has(node)) this.#nodes.delete(node)
    for (const { nodeId, host, port } of answer.brokers) this.#learn(nodeId, { host, port })
    for (const { topic, partitionMetadata } of answer.topicMetadata)
      if (topics.includes(topic))
        this.#topics.set(
          topic,
          new Map(partitionMetadata.map(({ partitionId, leader }) => [partitionId, leader])),
        )
  }

  #learn(node: number, address: Address): void {
    this.#nodes.set(node, address)
  }

  /**
   * Tries the known brokers, then the configured ones, each once. It starts with the broker that answered
   * last.
   */
  async #anyConnection(): Promise<KafkaConnection> {
    const candidates = distinct([...this.#nodes.values(), ...this.settings.brokers])
    const start = this.#nextSeed
    let last: unknown = new ConnectionLost('no broker is known')
    for (let step = 0; step < candidates.length; step += 1) {
      const index = (start + step) % candidates.length
      const address = candidates[index]
      if (address === undefined) continue
      try {
        const connection = await this.#connect(address, 'main')
        this.#nextSeed = index
        return connection
      } catch (error) {
        last = error
      }
    }
    throw last
  }

  async #connect(address: Address, lane: Lane): Promise<KafkaConnection> {
    this.closed.throwIfAborted()
    const key = `${address.host}:${address.port}|${lane}`
    const known = this.#connections.get(key)
    if (known !== undefined) {
      const connection = await known
      if (connection.usable) return connection
      if (this.#connections.get(key) === known) this.#connections.delete(key)
      connection.retire()
      return this.#connect(address, lane)
    }
    const opening = KafkaConnection.open(address, this.settings.connection)
    this.#connections.set(key, opening)
    try {
      const connection = await opening
      if (this.closed.aborted) connection.close()
      return connection
    } catch (error) {
      if (this.#connections.get(key) === opening) this.#connections.delete(key)
      throw error
    }
  }
}

const ignore = () => {}

export const name = (target: TopicPartition) => `${target.topic}[${target.partition}]`

function distinct(addresses: readonly Address[]): Address[] {
  return [...new Map(addresses.map(address => [`${address.host}:${address.port}`, address])).values()]
}
