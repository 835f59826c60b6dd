import { SluiceError } from '@sluice/contracts/errors'
import { abortable } from '@sluice/flow/abortable'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import type { Assignment, Membership, TopicPartition } from '../../port.ts'
import { assignSticky, decodeClaim, encodeClaim } from './assigner.ts'
import { type Abort, type KafkaCluster, type Lane, name, PAUSES } from './cluster.ts'
import { isTransient, MemberIdGiven, ProtocolError } from './errors.ts'
import { MemberAssignment, MemberMetadata, type ApiName } from './internals.ts'

/** With these times, the other members take over the partitions of a dead member within ten seconds. */
const SESSION_MS = 6_000
const HEARTBEAT_MS = 1_000
/** In a rebalance, the members have this time to join again. */
const REBALANCE_MS = 8_000
const PROTOCOL = 'sluice-sticky'

/**
 * Errors by which the coordinator says that this member does not belong to the group's present generation.
 */
const OUT_OF_STEP = new Set([
  'REBALANCE_IN_PROGRESS',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'FENCED_INSTANCE_ID',
])

interface JoinAnswer {
  readonly generationId: number
  readonly leaderId: string
  readonly memberId: string
  readonly members: readonly { memberId: string; memberMetadata: Buffer }[]
}

/** The coordinator, generation and partitions of this member. */
interface Place {
  readonly node: number
  readonly generationId: number
  readonly partitions: readonly TopicPartition[]
}

let nextLane = 0

/**
 * A membership of a classic consumer group. States: see Membership. It joins, sends heartbeats and commits,
 * but fetches nothing. So a rebalance pauses no fetching and resets no position. It has a connection of its
 * own, since the coordinator holds back the answer to a join until all other members have joined.
 */
export class KafkaMembership implements Membership {
  readonly #cluster: KafkaCluster
  readonly #group: string
  readonly #topics: readonly string[]
  readonly #lane: Lane = `group-${nextLane++}`
  readonly #leaving = new AbortController()
  readonly #changes = new Notifier()
  readonly #onEnd: (membership: KafkaMembership) => void
  #memberId = ''
  #place: Place | null = null
  #latest: Assignment | null = null
  #joins = 0
  #lastHeartbeatMs = elapsedMs()
  #running: Promise<void> = Promise.resolve()
  #state: 'joining' | 'member' | 'rebalancing' | 'left' = 'joining'
  #error: unknown = null

  constructor(
    cluster: KafkaCluster,
    options: { group: string; topics: readonly string[]; onEnd: (membership: KafkaMembership) => void },
  ) {
    this.#cluster = cluster
    this.#group = options.group
    this.#topics = [...new Set(options.topics)]
    this.#onEnd = options.onEnd
  }

  get lastHeartbeatMs(): number {
    return this.#lastHeartbeatMs
  }

  /**
   * Joins, and resolves with the first assignment. If joining fails or the signal aborts, it rejects and
   * leaves no member behind.
   */
  async start({ signal }: Abort): Promise<void> {
    this.#running = this.#run()
    try {
      for (;;) {
        const seen = this.#changes.version
        if (this.#latest !== null) return
        if (this.#error !== null) throw this.#error
        if (this.#state === 'left') throw new SluiceError('aborted', 'the log is closed')
        await this.#changes.after(seen, { signal })
      }
    } catch (error) {
      // The coordinator may take long to answer the request to leave. A caller that has aborted does not wait
      // for it.
      const left = this.leave()
      if (signal.aborted) left.catch(() => {})
      else await left
      throw error
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Assignment, void, void> {
    let last = 0
    const signal = new AbortController().signal
    for (;;) {
      const seen = this.#changes.version
      if (this.#error !== null) throw this.#error
      if (this.#state === 'left') return
      const latest = this.#latest
      if (latest !== null && latest.generation > last) {
        last = latest.generation
        yield latest
        continue
      }
      await this.#changes.after(seen, { signal })
    }
  }

  async commit(target: TopicPartition, nextOffset: number, { signal }: Abort): Promise<boolean> {
    signal.throwIfAborted()
    const subject = `committing ${name(target)} for ${this.#group}`
    return this.#cluster.retry(
      subject,
      async () => {
        const place = this.#place
        // The coordinator also accepts commits for partitions of other members, so this member checks that
        // itself.
        if (this.#state === 'left' || place === null || !owns(place, target)) return false
        try {
          await this.#request('OffsetCommit', 'main', {
            groupId: this.#group,
            memberId: this.#memberId,
            groupGenerationId: place.generationId,
            topics: [
              {
                topic: target.topic,
                partitions: [{ partition: target.partition, offset: String(nextOffset) }],
              },
            ],
          })
          return true
        } catch (error) {
          if (error instanceof ProtocolError && OUT_OF_STEP.has(error.type)) return false
          throw error
        }
      },
      { signal },
    )
  }

  async leave(): Promise<void> {
    if (!this.#leaving.signal.aborted) {
      this.#leaving.abort(new SluiceError('aborted', 'the membership has been left'))
      this.#setState('left')
    }
    await this.#running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave()
  }

  async #run(): Promise<void> {
    const signal = AbortSignal.any([this.#leaving.signal, this.#cluster.closed])
    try {
      while (!signal.aborted) {
        const inStep = await this.#persist(() => this.#join(signal), signal)
        if (inStep) await this.#beat(signal)
        else await sleep(PAUSES.firstMs, { signal })
      }
    } catch (error) {
      if (!signal.aborted) this.#error = error
    }
    this.#setState('left')
    await this.#leaveGroup()
    this.#cluster.closeLane(this.#lane)
    this.#onEnd(this)
  }

  /** Sends heartbeats until the coordinator wants this member to join again. */
  async #beat(signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(HEARTBEAT_MS, { signal })
      const inStep = await this.#persist(() => this.#heartbeat(signal), signal)
      if (!inStep) return
    }
  }

  async #heartbeat(signal: AbortSignal): Promise<void> {
    const sentMs = elapsedMs()
    const args = {
      groupId: this.#group,
      memberId: this.#memberId,
      groupGenerationId: this.#place?.generationId ?? -1,
    }
    try {
      await abortable(this.#request('Heartbeat', this.#lane, args, SESSION_MS), { signal })
      this.#lastHeartbeatMs = sentMs
    } catch (error) {
      if (error instanceof ProtocolError && error.type === 'REBALANCE_IN_PROGRESS')
        this.#lastHeartbeatMs = sentMs
      throw error
    }
  }

  /**
   * Retries after transient failures, and looks up the coordinator again each time. It gives up once the
   * failures have lasted for the cluster's retry time. Returns false if the coordinator wants this member to
   * join again.
   */
  async #persist(work: () => Promise<void>, signal: AbortSignal): Promise<boolean> {
    const attempt = async (): Promise<boolean> => {
      try {
        await work()
        return true
      } catch (error) {
        if (error instanceof ProtocolError && OUT_OF_STEP.has(error.type)) {
          this.#setState('rebalancing')
          if (error.type === 'UNKNOWN_MEMBER_ID') this.#memberId = ''
          return false
        }
        if (this.#place !== null && isTransient(error)) await this.#findCoordinator().catch(() => {})
        throw error
      }
    }
    return this.#cluster.untilKnown(`membership of ${this.#group}`, attempt, { signal })
  }

  async #findCoordinator(): Promise<number> {
    const node = await this.#cluster.coordinator('group', this.#group)
    if (this.#place !== null) this.#place = { ...this.#place, node }
    return node
  }

  /** Joins once, and syncs. */
  async #join(signal: AbortSignal): Promise<void> {
    const node = await abortable(this.#findCoordinator(), { signal })
    const joined = await this.#sendJoin(node, signal)
    this.#memberId = joined.memberId
    const groupAssignment = joined.leaderId === joined.memberId ? await this.#share(joined) : []
    const sentMs = elapsedMs()
    const args = {
      groupId: this.#group,
      generationId: joined.generationId,
      memberId: joined.memberId,
      groupAssignment,
    }
    const answer = await abortable(
      this.#call<{ memberAssignment: Buffer }>(node, 'SyncGroup', args, REBALANCE_MS + SESSION_MS),
      { signal },
    )
    this.#lastHeartbeatMs = sentMs
    const { assignment = {} } = MemberAssignment.decode(answer.memberAssignment) ?? {}
    const partitions = Object.entries(assignment).flatMap(([topic, numbers]) =>
      numbers.map(partition => ({ topic, partition })),
    )
    this.#place = { node, generationId: joined.generationId, partitions }
    this.#joins += 1
    this.#latest = { generation: this.#joins, partitions }
    this.#setState('member')
  }

  async #sendJoin(node: number, signal: AbortSignal): Promise<JoinAnswer> {
    const owned = this.#place?.partitions ?? []
    const userData = encodeClaim({ owned, generation: this.#place?.generationId ?? -1 })
    const metadata = MemberMetadata.encode({ version: 0, topics: this.#topics, userData })
    const send = () =>
      abortable(
        this.#call<JoinAnswer>(
          node,
          'JoinGroup',
          {
            groupId: this.#group,
            sessionTimeout: SESSION_MS,
            rebalanceTimeout: REBALANCE_MS,
            memberId: this.#memberId,
            protocolType: 'consumer',
            groupProtocols: [{ name: PROTOCOL, metadata }],
          },
          REBALANCE_MS + SESSION_MS,
        ),
        { signal },
      )
    try {
      return await send()
    } catch (error) {
      if (!(error instanceof MemberIdGiven)) throw error
      this.#memberId = error.memberId
      return send()
    }
  }

  /** As the leader of the group, shares out the partitions that the topics have now. */
  async #share(joined: JoinAnswer): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
    const members = joined.members.map(({ memberId, memberMetadata }) => {
      const { topics, userData } = MemberMetadata.decode(memberMetadata)
      return { memberId, topics, ...decodeClaim(userData) }
    })
    const topics = [...new Set(members.flatMap(member => member.topics))].toSorted()
    const partitions: TopicPartition[] = []
    for (const topic of topics) {
      this.#cluster.forget(topic)
      const leaders = await this.#cluster.leaders(topic).catch((error: unknown) => {
        // A member whose topic has been deleted must not keep the others from their partitions.
        if (error instanceof SluiceError && error.code === 'not-found') return new Map<number, number>()
        throw error
      })
      for (const partition of [...leaders.keys()].toSorted((a, b) => a - b))
        partitions.push({ topic, partition })
    }
    return [...assignSticky(members, partitions)].map(([memberId, owned]) => ({
      memberId,
      memberAssignment: MemberAssignment.encode({ version: 0, assignment: byTopic(owned) }),
    }))
  }

  async #leaveGroup(): Promise<void> {
    const place = this.#place
    if (this.#memberId === '' || this.#cluster.closed.aborted) return
    const members = [{ memberId: this.#memberId }]
    const args = { groupId: this.#group, memberId: this.#memberId, members }
    // The connection of this membership may still wait for the answer to a join.
    const node = place?.node ?? (await this.#cluster.coordinator('group', this.#group).catch(() => null))
    if (node === null) return
    await this.#cluster
      .call(node, 'main', { api: 'LeaveGroup', args, timeoutMs: HEARTBEAT_MS })
      .catch(() => {})
    this.#place = null
  }

  async #request(api: ApiName, lane: Lane, args: object, timeoutMs?: number): Promise<unknown> {
    const node = this.#place?.node ?? (await this.#findCoordinator())
    return this.#cluster.call(node, lane, { api, args, ...(timeoutMs === undefined ? {} : { timeoutMs }) })
  }

  #call<T>(node: number, api: ApiName, args: object, timeoutMs: number): Promise<T> {
    return this.#cluster.call<T>(node, this.#lane, { api, args, timeoutMs })
  }

  #setState(state: 'member' | 'rebalancing' | 'left'): void {
    if (this.#state !== 'left') this.#state = state
    this.#changes.notify()
  }
}

const owns = (place: Place, target: TopicPartition) =>
  place.partitions.some(({ topic, partition }) => topic === target.topic && partition === target.partition)

function byTopic(partitions: readonly TopicPartition[]): Record<string, number[]> {
  const topics: Record<string, number[]> = {}
  for (const { topic, partition } of partitions) (topics[topic] ??= []).push(partition)
  return topics
}
