/**
 * Reads the topics of a pipeline from outside, and checks what has to hold in them after any kill: no `seq`
 * has a gap, and one attempt has finished every request.
 */
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import type { MessageLog } from '@sluice/message-log/port'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { decodeEach, isTakeover, readOwned, type Placed } from '@sluice/topics/owned-reader'
import { RecordIo } from '@sluice/topics/record-io'
import { RunsView } from '@sluice/runs/runs-view'
import { homePartition, syncTopics, type StageName } from '@sluice/topics/topics'

const { signal } = new AbortController()

/** The gapless stretch of a run in a topic's partition: the number of records, and how it ended. */
export interface RunStretch {
  readonly run: number
  readonly partition: number
  readonly records: number
  readonly sealed: boolean
}

export class Topics implements AsyncDisposable {
  readonly log: MessageLog
  readonly runs: RunsView
  readonly #io: RecordIo
  readonly #prefix: string
  readonly #sync: string

  private constructor(
    deps: { readonly log: MessageLog; readonly io: RecordIo; readonly prefix: string; readonly sync: string },
    runs: RunsView,
  ) {
    this.log = deps.log
    this.runs = runs
    this.#io = deps.io
    this.#prefix = deps.prefix
    this.#sync = deps.sync
  }

  /** `env` names Kafka, registry and prefix, as for a service. */
  static async open(env: { readonly [name: string]: string }, sync: string): Promise<Topics> {
    const prefix = env['SLUICE_PREFIX'] ?? ''
    const log = createKafkaLog({
      brokers: (env['SLUICE_KAFKA_BROKERS'] ?? '').split(','),
      clientId: 'onlooker',
    })
    try {
      const codec = createRegistryCodec({ url: env['SLUICE_SCHEMA_REGISTRY_URL'] ?? '' })
      const io = await RecordIo.open(codec, prefix, { signal })
      return new Topics({ log, io, prefix, sync }, await RunsView.open({ log, io, prefix }, { signal }))
    } catch (error) {
      await log[Symbol.asyncDispose]()
      throw error
    }
  }

  get incarnation(): string {
    const { incarnation } = this.runs.of(this.#sync) ?? {}
    if (incarnation === undefined) throw new Error(`${this.#sync} never ran`)
    return incarnation
  }

  /** Waits until the reader has all present events of runs. */
  async caughtUp(): Promise<void> {
    await this.runs.caughtUp(homePartition(this.#sync), { signal })
  }

  /** The number of records of a topic, with markers. 0 if the topic does not exist yet. */
  async appended(stage: StageName): Promise<number> {
    const topic = syncTopics(this.#prefix, this.#sync)[stage]
    const partitions = (await this.log.partitionsOf(topic, { signal })) ?? 0
    const ends = await Promise.all(
      Array.from({ length: partitions }, (_, partition) =>
        this.log.offsets({ topic, partition }, { signal }),
      ),
    )
    return ends.reduce((sum, { end }) => sum + end, 0)
  }

  /** The records of a topic that count, by partition. */
  async records(stage: StageName): Promise<readonly (readonly Placed[])[]> {
    const topic = syncTopics(this.#prefix, this.#sync)[stage]
    const partitions = (await this.log.partitionsOf(topic, { signal })) ?? 0
    return Promise.all(
      Array.from({ length: partitions }, (_, partition) => this.#read(stage, topic, partition)),
    )
  }

  async #read(stage: StageName, topic: string, partition: number): Promise<readonly Placed[]> {
    const { log, incarnation } = this
    const target = { topic, partition }
    const { low, end } = await log.offsets(target, { signal })
    const records: Placed[] = []
    if (low === end) return records
    const options = { log, io: this.#io, target, incarnation, stage, from: low, to: end, signal }
    for await (const batch of readOwned(options)) records.push(...batch.records)
    return records
  }

  /**
   * Throws if a record of an owner stands after the takeover marker of a later owner, so that it was not
   * refused.
   */
  async assertFenced(stage: StageName): Promise<void> {
    const topic = syncTopics(this.#prefix, this.#sync)[stage]
    const partitions = (await this.log.partitionsOf(topic, { signal })) ?? 0
    for (let partition = 0; partition < partitions; partition += 1) {
      const target = { topic, partition }
      const { low, end } = await this.log.offsets(target, { signal })
      if (low === end) continue
      let newest = -1
      for await (const { records } of this.log.read(target, { from: low, to: end, signal }))
        for (const { offset, record, torn } of await decodeEach(this.#io, records, signal)) {
          if (torn !== undefined) throw torn
          if (record === null || !('owner' in record.value)) continue
          if (isTakeover(record)) newest = offset
          else if (record.value.owner !== newest)
            throw new Error(
              `${topic}/${partition}, offset ${offset}: written after marker ${newest} of another`,
            )
        }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runs[Symbol.asyncDispose]()
    await this.log[Symbol.asyncDispose]()
  }
}

/**
 * Throws, with the place, at the first seq that is missing, doubled or outside of its run. Returns each run's
 * stretches.
 */
export function gaplessStretches(partitions: readonly (readonly Placed[])[]): readonly RunStretch[] {
  const stretches: RunStretch[] = []
  for (const [partition, records] of partitions.entries()) {
    let open: { readonly run: number; next: number } | null = null
    for (const { offset, record } of records) {
      const where = `partition ${partition}, offset ${offset}`
      if (record?.name === 'sluice.Marker') {
        const { kind, begin, count, sealed } = record.value
        if (kind === 'run-begin') {
          if (open !== null) throw new Error(`${where}: a run begins within run ${open.run}`)
          open = { run: begin?.run ?? -1, next: 0 }
        } else if (kind === 'run-end') {
          const expected = { run: begin?.run, next: count }
          if (open === null || open.run !== expected.run || open.next !== expected.next)
            throw new Error(`${where}: ${JSON.stringify(expected)} ends, not ${JSON.stringify(open)}`)
          stretches.push({ run: open.run, partition, records: open.next, sealed })
          open = null
        }
        continue
      }
      if (record?.name === 'sluice.Slice') {
        const { run, count } = record.value
        if (open?.run !== run || open.next !== count)
          throw new Error(
            `${where}: a slice of run ${run} ends at ${String(count)}, not ${JSON.stringify(open)}`,
          )
        continue
      }
      // Between runs, keys end: of rows that are gone for long, and of requests that were sent again.
      if (record === null && open === null) continue
      if (record === null || !('seq' in record.value)) throw new Error(`${where}: what is this?`)
      const { run, seq } = record.value
      if (open?.run !== run || open.next !== seq)
        throw new Error(`${where}: seq ${seq} of run ${run}, but ${JSON.stringify(open)}`)
      open.next += 1
    }
    if (open !== null) throw new Error(`partition ${partition}: run ${open.run} never ends`)
  }
  return stretches
}

/** Places (run/partition/seq) of requests that an attempt finished. Throws if one was finished twice. */
export function finishedRequests(attempts: readonly (readonly Placed[])[]): ReadonlySet<string> {
  const finished = new Set<string>()
  for (const [partition, records] of attempts.entries()) {
    for (const { record } of records) {
      if (record?.name !== 'sluice.Attempt' || !record.value.final) continue
      const place = `${record.value.run}/${partition}/${record.value.seq}`
      if (finished.has(place)) throw new Error(`request ${place} was finished twice`)
      finished.add(place)
    }
  }
  return finished
}
