/**
 * Ownership of a sync: one writer for each partition of `changes`, which also ends retry entries and captured
 * values there. The writer of partition 0 writes the run events, too (PROTOCOL.md §4). A detector takes the
 * ownership when there is something to do, and releases it when there is not.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { RunEvent } from '@sluice/contracts/records'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { PartitionTail } from '@sluice/runs/machine/sync-life'
import { lastOwnRecord, markerOf, type Placed } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { runEventRecord } from '@sluice/runs/run-event-record'
import { takeOver, type Ownership } from '@sluice/partition/take-over'
import { at, homePartition, runKey, sharedTopics, syncTopics, type SyncTopics } from '@sluice/topics/topics'

export interface OwnSyncDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
}

export class SyncOwnership implements AsyncDisposable {
  readonly sync: string
  readonly incarnation: string
  readonly partitions: number
  readonly topics: SyncTopics
  readonly #deps: OwnSyncDeps
  readonly #owners: readonly Ownership[]

  constructor(
    deps: OwnSyncDeps,
    options: { readonly sync: string; readonly incarnation: string; readonly owners: readonly Ownership[] },
  ) {
    const { sync, incarnation, owners } = options
    this.#deps = deps
    this.sync = sync
    this.incarnation = incarnation
    this.#owners = owners
    this.partitions = owners.length
    this.topics = syncTopics(deps.prefix, sync)
  }

  of(partition: number): Ownership {
    const owner = this.#owners[partition]
    if (owner === undefined)
      throw new SluiceError('internal', `${this.sync} has no partition ${partition}, only ${this.partitions}`)
    return owner
  }

  /** Offset of the takeover marker in partition 0 of `changes`. Run events name it as their writer. */
  get marker(): number {
    return this.of(0).markerOffset(at(this.topics.changes, 0))
  }

  /** Writes a run event; resolves once it is acknowledged. */
  async writeEvent(
    event: Omit<RunEvent, 'marker' | 'sync' | 'incarnation'>,
    signal: AbortSignal,
  ): Promise<void> {
    const { sync, incarnation, marker } = this
    const record = runEventRecord(this.#deps.io, { ...event, sync, incarnation, marker })
    const target = at(sharedTopics(this.#deps.prefix).runs, homePartition(sync))
    await this.of(0).append(target, [record], { signal })
  }

  /** Writes a tombstone for each of these runs. Resolves once they are acknowledged. */
  async forgetRuns(runIds: readonly string[], signal: AbortSignal): Promise<void> {
    const target = at(sharedTopics(this.#deps.prefix).runs, homePartition(this.sync))
    const records = runIds.map(runId => ({ key: runKey(this.sync, runId), value: null }))
    await this.of(0).append(target, records, { signal })
  }

  /** Reads what the last run left in each partition of `changes`. */
  tails(signal: AbortSignal): Promise<readonly PartitionTail[]> {
    const { topics, incarnation, partitions } = this
    return readTails(this.#deps, { topics, incarnation, partitions, signal })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#owners.map(owner => owner[Symbol.asyncDispose]()))
  }
}

/** Reads what the last run left in each partition of `changes`; needs no ownership. */
export async function readTails(
  deps: Pick<OwnSyncDeps, 'log' | 'io'>,
  options: {
    readonly topics: SyncTopics
    readonly incarnation: string
    readonly partitions: number
    readonly signal: AbortSignal
  },
): Promise<readonly PartitionTail[]> {
  const { topics, incarnation, partitions, signal } = options
  const targets = Array.from({ length: partitions }, (_, partition) => at(topics.changes, partition))
  return Promise.all(
    targets.map(async target =>
      tailOf(target, await lastOwnRecord({ ...deps, target, incarnation, stage: 'changes', signal })),
    ),
  )
}

function tailOf(target: TopicPartition, last: Placed | null): PartitionTail {
  const record = last?.record ?? null
  if (record === null) return { run: 0, ended: true, sealed: false, count: 0 }
  const marker = markerOf(record)
  if (marker !== null) {
    const ended = marker.kind === 'run-end'
    const { begin, sealed, count } = marker
    return { run: begin?.run ?? 0, ended, sealed, count: count ?? 0 }
  }
  if (record.name === 'sluice.Slice') {
    const { run, count } = record.value
    return { run, ended: false, sealed: false, count: count ?? 0 }
  }
  if (record.name !== 'sluice.Change')
    throw new SluiceError('corrupt', `a ${record.name} record is in ${target.topic}`)
  const { run, seq } = record.value
  return { run, ended: false, sealed: false, count: seq + 1 }
}

/**
 * Takes over all partitions of a sync, whose topics must exist. Rejects with `fenced` if another detector
 * does the same.
 */
export async function ownSync(
  deps: OwnSyncDeps,
  options: {
    readonly sync: string
    readonly incarnation: string
    readonly partitions: number
    readonly signal: AbortSignal
  },
): Promise<SyncOwnership> {
  const { log, io, prefix } = deps
  const { sync, incarnation, partitions, signal } = options
  const topics = syncTopics(prefix, sync)
  const runs = at(sharedTopics(prefix).runs, homePartition(sync))
  const take = (partition: number): Promise<Ownership> => {
    const own = [topics.changes, topics.retry, topics.captured].map(topic => at(topic, partition))
    const targets = partition === 0 ? [...own, runs] : own
    return takeOver({ log, io, prefix, stage: 'changes', sync, incarnation, partition, targets, signal })
  }
  // If two detectors take over at once, one is refused here, and leaves the rest to the other.
  const first = take(0)
  await first
  const taken = [first]
  for (let partition = 1; partition < partitions; partition += 1) taken.push(take(partition))
  try {
    return new SyncOwnership(deps, { sync, incarnation, owners: await Promise.all(taken) })
  } catch (error) {
    for (const owner of await Promise.allSettled(taken))
      if (owner.status === 'fulfilled') await owner.value[Symbol.asyncDispose]()
    throw error
  }
}
