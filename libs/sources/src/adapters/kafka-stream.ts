/**
 * The source of type `kafka` whose topics are read as they grow. It joins no group and commits no offset:
 * where a reader goes on stands in its `StreamPosition`. Records of transactions count once they are
 * committed.
 *
 * A comparison reads the whole topic, as `kafka.ts` does for a run over a table.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSluiceError } from '@sluice/contracts/errors'
import type { StreamPosition } from '@sluice/contracts/records'
import type { KafkaSourceSpec, ModelSpec } from '@sluice/contracts/resources'
import type { SecretFor } from '@sluice/contracts/secret-references'
import { primaryKeyOf } from '@sluice/domain/definition'
import { shortTurn } from '@sluice/flow/sleep'
import { type KafkaMessageLog, readTopicSettings } from '@sluice/message-log/adapters/kafka'
import type {
  ComparedStream,
  OpenedStream,
  SliceBounds,
  StreamBreak,
  StreamBreakReason,
  StreamColumns,
  StreamEntry,
  StreamReader,
  StreamSlice,
  StreamSource,
} from '../stream-port.ts'
import { assertNewFile, removeExtract } from './extract-file.ts'
import { DESCRIBED_ROWS } from './kafka.ts'
import { kafkaAccess, type KafkaAccess } from './kafka/access.ts'
import type { Entry } from './kafka/entry.ts'
import { missingTopic, readTopic, type ReadTopic, topicOf } from './kafka/read-topic.ts'
import { type SharedTopic, type SharedTopics, shareTopics } from './kafka/shared-topics.ts'
import { type PlacedEntry, SliceRows, type TopicColumns } from './kafka/slice-rows.ts'
import { sourceError } from './kafka/source-error.ts'
import {
  continued,
  historyOf,
  highestOf,
  historyText,
  orderOf,
  SeenOrders,
  type TopicHistory,
  wentBack,
} from './kafka/stream-orders.ts'
import { topicError } from './kafka/topic-error.ts'
import type { TailCursor } from './kafka/topic-tail.ts'
import type { PrivateNetworks } from './server/access.ts'

export interface KafkaStreamOptions {
  readonly spec: KafkaSourceSpec
  /** Called when the first topic is described or opened. Its errors pass through. */
  readonly secretFor: SecretFor
  /** For comparisons. */
  readonly memoryBytes?: number
  readonly privateNetworks: PrivateNetworks
}

interface Signalled {
  readonly signal: AbortSignal
}

const DAY_MS = 86_400_000
/** Nothing is asked of a topic that somebody has read so recently. */
const RECENT_MS = 60_000
/** A topic keeps the record of a removed row for a time. Clocks differ, so less of it is trusted. */
const TRUSTED_SHARE = 0.8

/** What a sample or a comparison has shown of a topic. */
interface Known {
  readonly columns: TopicColumns
  readonly primaryKey: readonly string[]
  /** Columns of the topic whose values some entry lacked. */
  readonly lacked: ReadonlySet<string>
}

/**
 * Makes a source of topics that are read as they grow. Sources with the same access share their connections.
 */
export function createKafkaStreamSource(options: KafkaStreamOptions): StreamSource {
  return new KafkaStreamSource(options)
}

class KafkaStreamSource implements StreamSource {
  readonly #options: KafkaStreamOptions
  #opened: { readonly access: KafkaAccess; readonly topics: SharedTopics } | null = null
  /** By model, as text. */
  readonly #known = new Map<string, Known>()

  constructor(options: KafkaStreamOptions) {
    this.#options = options
  }

  /** Returns the columns of the latest rows. A comparison may find others. */
  async describe(model: ModelSpec, { signal }: Signalled): Promise<StreamColumns> {
    return await this.translated(signal, async () => {
      const known = await this.#sample(model, signal)
      await using rows = await this.rowsFor(model, known)
      const own = primaryKeyOf(model).length === 0 ? { primaryKey: known.primaryKey } : {}
      return { columns: rows.columns, mayLack: rows.mayLack(known.lacked), ...own }
    })
  }

  async open(
    model: ModelSpec,
    from: StreamPosition | null,
    { signal, toldAt }: Signalled & { readonly toldAt?: number },
  ): Promise<OpenedStream> {
    return await this.translated(signal, async () => {
      const topic = topicOf(model)
      const { topics } = this.#open()
      const found = await topics.log.identify(topic, { signal })
      if (found === null) throw missingTopic(topic, { model, sourceName: this.#options.spec.name })
      if (from === null)
        return { kind: 'reader', reader: new KafkaReader(this, { model, topic, from: null }) }
      const history = historyOf(from.history)
      if (history === null || history.topic !== found.id) return anotherTopic(topic)
      const { length } = from.partitions
      if (found.partitions > length) return morePartitions(topic, found.partitions, length)
      const lost =
        (await lostBehind(topics.log, { topic, from, signal })) ??
        (await this.#tombstonesLost(topic, { toldAt, signal }))
      if (lost !== null) return lost
      const known = this.#known.get(JSON.stringify(model)) ?? (await this.#sample(model, signal))
      const reader = new KafkaReader(this, { model, topic, from: { position: from, history } })
      try {
        await reader.begin(known)
      } catch (error) {
        await reader[Symbol.asyncDispose]()
        throw error
      }
      return { kind: 'reader', reader }
    })
  }

  /**
   * Resolves with a break if nobody was there for as long as the topic keeps the records of removed rows.
   * Nothing else shows that some are gone.
   */
  async #tombstonesLost(
    topic: string,
    { toldAt, signal }: Signalled & { readonly toldAt: number | undefined },
  ): Promise<StreamBreak | null> {
    const age = toldAt === undefined ? 0 : Date.now() - toldAt
    if (age < RECENT_MS) return null
    const settings = (await readTopicSettings(this.#open().access.log, [topic], { signal }))?.get(topic)
    const { 'cleanup.policy': policy = 'compact', 'delete.retention.ms': kept = DAY_MS } = settings ?? {}
    if (!policy.includes('compact') || age < TRUSTED_SHARE * Number(kept)) return null
    const hours = (age / 3_600_000).toFixed(1)
    return broken(
      'lost',
      `The topic ${topic} is compacted, and may have lost the records of removed rows: nobody has read it for ${hours} hours.`,
    )
  }

  release(model: ModelSpec, { signal }: Signalled): Promise<void> {
    this.#known.delete(JSON.stringify(model))
    return signal.aborted ? Promise.reject(signal.reason) : Promise.resolve()
  }

  /** The connections of this source. Throws `config` for a secret that is missing. */
  get topics(): SharedTopics {
    return this.#open().topics
  }

  #open() {
    const { spec, secretFor, privateNetworks } = this.#options
    if (this.#opened === null) {
      const access = kafkaAccess(spec, secretFor, privateNetworks)
      this.#opened = { access, topics: shareTopics(access, access.log.guardedSocket !== undefined) }
    }
    return this.#opened
  }

  /** Reads the topic as a table: all of it, or the newest entries. */
  async read(
    model: ModelSpec,
    options: {
      readonly file: string
      readonly sample: number | null
      readonly see?: (entry: Entry) => void
    } & Signalled,
  ): Promise<ReadTopic> {
    const { access, topics } = this.#open()
    const { spec, memoryBytes } = this.#options
    const topic = topicOf(model)
    return await readTopic({
      ...{ model, topic, memoryBytes, sourceName: spec.name },
      ...{ log: topics.log, registry: access.registry },
      ...options,
    })
  }

  remember(model: ModelSpec, { topicColumns, primaryKey, lacked }: ReadTopic): Known {
    const key = JSON.stringify(model)
    const known = {
      ...{ columns: topicColumns, primaryKey },
      lacked: new Set([...lacked, ...(this.#known.get(key)?.lacked ?? [])]),
    }
    this.#known.set(key, known)
    return known
  }

  /** Notes that an entry lacked the value of a column. */
  noteLacking(model: ModelSpec, names: readonly string[]): void {
    const key = JSON.stringify(model)
    const known = this.#known.get(key)
    if (known !== undefined) this.#known.set(key, { ...known, lacked: new Set([...known.lacked, ...names]) })
  }

  async rowsFor(model: ModelSpec, { columns, primaryKey }: Known): Promise<SliceRows> {
    return await SliceRows.open({ model, topic: topicOf(model), columns, primaryKey })
  }

  async #sample(model: ModelSpec, signal: AbortSignal): Promise<Known> {
    signal.throwIfAborted()
    const folder = await mkdtemp(join(tmpdir(), 'sluice-topic-'))
    try {
      const file = join(folder, 'rows.duckdb')
      return this.remember(model, await this.read(model, { file, sample: DESCRIBED_ROWS, signal }))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  /** Does the work. Its errors name the source, and an abort rejects with the signal's reason. */
  async translated<T>(
    signal: AbortSignal,
    work: () => Promise<T>,
    extract?: { readonly model: ModelSpec; readonly file: string },
  ): Promise<T> {
    try {
      signal.throwIfAborted()
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      const { name } = this.#options.spec
      const secrets = this.#opened?.access.secrets ?? []
      throw sourceError(error, { name, secrets, ...(extract === undefined ? {} : { extract }) })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = this.#opened
    this.#opened = null
    await opened?.topics.release()
  }
}

function broken(why: StreamBreakReason, detail: string): StreamBreak {
  return { kind: 'break', why, detail }
}

function anotherTopic(topic: string): StreamBreak {
  return broken('history', `The topic ${topic} was deleted and made anew.`)
}

function morePartitions(topic: string, now: number, before: number): StreamBreak {
  return broken('partitions', `The topic ${topic} has ${now} partitions, and had ${before}.`)
}

/** Resolves with a break if records behind the position are gone. */
async function lostBehind(
  log: KafkaMessageLog,
  { topic, from, signal }: { readonly topic: string; readonly from: StreamPosition } & Signalled,
): Promise<StreamBreak | null> {
  const lost = await Promise.all(
    from.partitions.map(async ({ partition, offset }) => {
      const { low, end } = await log.offsets({ topic, partition }, { signal })
      const next = Number(offset)
      if (next > end) return `partition ${partition} ends at offset ${end}, before ${next}`
      if (next >= low) return null
      const until = await timeOf(log, { topic, partition, low, end, signal })
      return `partition ${partition} has lost the offsets ${next} to ${low - 1}${until}`
    }),
  )
  const found = lost.filter(each => each !== null)
  return found.length === 0
    ? null
    : broken('lost', `Records of the topic ${topic} are gone: ${found.join('; ')}.`)
}

/** Says when the first record that is left was written, if there is one. */
async function timeOf(
  log: KafkaMessageLog,
  at: {
    readonly topic: string
    readonly partition: number
    readonly low: number
    readonly end: number
  } & Signalled,
): Promise<string> {
  const { topic, partition, low, end, signal } = at
  if (low >= end) return ''
  for await (const { records } of log.read(
    { topic, partition },
    { from: low, to: end, signal, bufferBytes: 1 },
  )) {
    const [first] = records
    if (first !== undefined) return `, written before ${new Date(first.timestamp).toISOString()}`
  }
  return ''
}

interface Place {
  readonly cursor: TailCursor
  highest: string | null
}

/**
 * States: broken (since nothing was compared, or at an entry that shows it) → reading (by `compare`, or from
 * the start, if it is opened at a position) → broken.
 */
class KafkaReader implements StreamReader {
  readonly #source: KafkaStreamSource
  readonly #model: ModelSpec
  readonly #topic: string
  readonly #shared: SharedTopic
  readonly #base: Pick<StreamPosition, 'epoch' | 'model'>
  #position: StreamPosition | null
  #history: TopicHistory | null
  #places: Place[] = []
  #rows: SliceRows | null = null
  #lacked: ReadonlySet<string> = new Set()
  #break: StreamBreak | null
  /**
   * True while entries are of the snapshot in which the comparison ended. A successor does not know it, so it
   * compares at the next entry of the snapshot.
   */
  #isInSnapshot = false
  #turn = 0
  #taken: Taken | null = null
  #lastCommittedAt: number | null = null

  constructor(
    source: KafkaStreamSource,
    {
      model,
      topic,
      from,
    }: {
      readonly model: ModelSpec
      readonly topic: string
      readonly from: { readonly position: StreamPosition; readonly history: TopicHistory } | null
    },
  ) {
    this.#source = source
    this.#model = model
    this.#topic = topic
    this.#shared = source.topics.join(topic, model)
    this.#base = { epoch: from?.position.epoch ?? 0, model: from?.position.model ?? '' }
    this.#position = from?.position ?? null
    this.#history = from?.history ?? null
    this.#break = from === null ? broken('first', 'Nothing was compared yet.') : null
  }

  /** Begins to read at the position. */
  async begin(known: Known): Promise<void> {
    this.#taken = null
    await this.#rows?.[Symbol.asyncDispose]()
    this.#rows = null
    this.#rows = await this.#source.rowsFor(this.#model, known)
    this.#lacked = known.lacked
    for (const { cursor } of this.#places) cursor.leave()
    const partitions = this.#position?.partitions ?? []
    this.#places = partitions.map(({ partition, offset, highest }) => {
      const tails = this.#shared.tailsOf(partition, partitions.length)
      return { cursor: tails.cursor(Number(offset)), highest }
    })
    for (const { cursor } of this.#places) cursor.peek()
  }

  async next({ rows, bytes, waitMs, signal }: SliceBounds & Signalled): Promise<StreamSlice | StreamBreak> {
    return await this.#source.translated(signal, async () => {
      // The next call gives what an aborted one has taken.
      const taken = (this.#taken ??= new Taken())
      taken.bound({ rows, bytes })
      let late: AbortSignal | null = null
      for (;;) {
        signal.throwIfAborted()
        const seen = this.#shared.changes.version
        if (this.#break === null) await this.#gather(taken, signal)
        if (this.#break !== null && !taken.hasSome) return this.#break
        if (this.#break !== null || taken.isFull || late?.aborted === true)
          return await this.#slice(taken, signal)
        if (!taken.hasSome) {
          await this.#shared.changes.after(seen, { signal })
          continue
        }
        late ??= AbortSignal.timeout(waitMs)
        await this.#shared.changes.after(seen, { signal: AbortSignal.any([signal, late]) }).catch(() => {})
      }
    })
  }

  /** Takes entries that are there, partition after partition, until the slice is full or a break is next. */
  async #gather(taken: Taken, signal: AbortSignal): Promise<void> {
    const { watched } = this.#shared
    const history = this.#history
    if (watched !== undefined && history !== null) {
      if (watched !== null && watched.id !== history.topic) this.#break = anotherTopic(this.#topic)
      else if (watched !== null && watched.partitions > this.#places.length)
        this.#break = morePartitions(this.#topic, watched.partitions, this.#places.length)
    }
    for (let passed = 0; passed < this.#places.length && this.#break === null; passed += 1) {
      this.#turn = (this.#turn + 1) % this.#places.length
      const place = this.#places[this.#turn]
      while (place !== undefined && this.#break === null && !taken.isFull) {
        await shortTurn()
        signal.throwIfAborted()
        if (!(await this.#step(place, taken))) break
      }
    }
  }

  /** Takes the next entry of a partition. Resolves with false if there is none, or if it is a break. */
  async #step(place: Place, taken: Taken): Promise<boolean> {
    let next
    try {
      next = place.cursor.peek()
    } catch (error) {
      this.#break = await this.#breakOf(error)
      return false
    }
    if (next === null) return false
    const { entry } = next
    const isFirst = !taken.hasSome
    if (!isFirst && !taken.hasRoomFor(next.bytes)) {
      taken.close()
      return false
    }
    this.#break = this.#look(place, entry, taken)
    if (this.#break !== null) return false
    place.cursor.pass(next)
    taken.bytes += next.bytes
    return true
  }

  /** Looks at an entry, and takes what it says. Returns a break if it is one, and then takes nothing. */
  #look(place: Place, entry: Entry, taken: Taken): StreamBreak | null {
    const before = this.#history
    const rows = this.#rows
    if (before === null || rows === null) return broken('first', 'Nothing was compared yet.')
    if (entry.kind === 'passed') return null
    const where = `${this.#topic}, partition ${entry.at.partition}, offset ${entry.at.offset}`
    if (entry.kind === 'unreadable') {
      taken.unreadable.push({ place: where, why: entry.why })
      return null
    }
    const history = continued(before, entry)
    if (history === null)
      return broken('history', `Another server, or another connector, writes to ${where}.`)
    // The places of a log may begin anew with a snapshot, so this comes before the order.
    if (entry.snapshot !== null && !this.#isInSnapshot)
      return broken('snapshot', `A connector has made a snapshot, which begins at ${where} or before.`)
    if (wentBack(entry, history, place.highest))
      return broken('history', `The log of the database went back to an earlier place, says ${where}.`)
    const order = orderOf(entry, history, place.highest)
    if (place.highest !== null && order <= place.highest) return null
    if (entry.kind === 'emptied') return broken('truncated', `The table was emptied, says ${where}.`)
    if (entry.kind === 'row') {
      const lacking = rows.lacks(entry)
      const news = lacking.filter(name => !rows.mayLack(this.#lacked).includes(name))
      if (news.length > 0) {
        this.#source.noteLacking(this.#model, entry.unknown)
        this.#lacked = new Set([...this.#lacked, ...entry.unknown])
        return broken(
          'columns',
          `The database did not tell the unchanged value of "${news.join('", "')}" for the first time.`,
        )
      }
    }
    const placed = rows.place(entry)
    if (placed === null)
      return broken(
        'columns',
        `The fields of the record at ${where} are others than those of the rows before.`,
      )
    if (entry.snapshot === 'last') this.#isInSnapshot = false
    this.#history = history
    place.highest = highestOf(order, entry, history, place.highest)
    taken.entries.push({ placed, order, where })
    return null
  }

  /** Finds out why a partition cannot be read. Rejects with the error if the log may still be whole. */
  async #breakOf(error: unknown): Promise<StreamBreak> {
    if (!isSluiceError(error, 'offset-out-of-range') && !isSluiceError(error, 'not-found')) throw error
    const { signal } = new AbortController()
    const { log } = this.#source.topics
    const found = await log.identify(this.#topic, { signal })
    if (found === null)
      throw topicError(`The topic ${this.#topic} was deleted.`, { retryable: true, cause: error })
    if (found.id !== this.#history?.topic) return anotherTopic(this.#topic)
    const lost = await lostBehind(log, { topic: this.#topic, from: this.#here(), signal })
    if (lost === null) throw error
    return lost
  }

  async #slice(taken: Taken, signal: AbortSignal): Promise<StreamSlice> {
    const position = this.#here()
    const rows = this.#rows
    const made =
      rows === null || taken.entries.length === 0
        ? []
        : await rows.rowsOf(taken.entries.map(({ placed }) => placed))
    signal.throwIfAborted()
    const entries: StreamEntry[] = []
    const unreadable = [...taken.unreadable]
    for (const [index, each] of made.entries()) {
      const { placed, order, where } = taken.entries[index] ?? {}
      if (placed === undefined || order === undefined) continue
      const { committedAt, at } = placed.entry
      this.#lastCommittedAt = committedAt
      if (each.kind === 'unreadable') unreadable.push({ place: where ?? '', why: each.why })
      if (each.kind === 'row') {
        const { key, row, lacks } = each
        entries.push({ key, row, lacks, order, committedAt, partition: at.partition })
      }
    }
    this.#position = position
    this.#taken = null
    return { kind: 'slice', entries, position, unreadable }
  }

  #here(): StreamPosition {
    const history = this.#history
    return {
      ...this.#base,
      history: history === null ? '' : historyText(history),
      partitions: this.#places.map(({ cursor, highest }, partition) => ({
        ...{ partition, offset: String(cursor.offset), highest },
      })),
    }
  }

  async compare({ file, signal }: { readonly file: string } & Signalled): Promise<ComparedStream> {
    assertNewFile(file)
    return await this.#source.translated(
      signal,
      async () => {
        try {
          return await this.#compare(file, signal)
        } catch (error) {
          await removeExtract(file)
          throw error
        }
      },
      { model: this.#model, file },
    )
  }

  async #compare(file: string, signal: AbortSignal): Promise<ComparedStream> {
    const { log } = this.#source.topics
    const before = await log.identify(this.#topic, { signal })
    const orders = new SeenOrders()
    const read = await this.#source.read(this.#model, {
      file,
      sample: null,
      see: entry => orders.see(entry),
      signal,
    })
    const after = await log.identify(this.#topic, { signal })
    if (before === null || after === null || before.id !== after.id || after.partitions !== read.ends.length)
      throw topicError(`The topic ${this.#topic} was made again or got partitions while it was read.`, {
        retryable: true,
      })
    const history = orders.history(after.id)
    const position = {
      ...this.#base,
      history: historyText(history),
      partitions: read.ends.map(({ partition, end }) => ({
        ...{ partition, offset: String(end), highest: orders.highest(partition, end, history) },
      })),
    }
    this.#position = position
    this.#history = history
    this.#isInSnapshot = orders.isInSnapshot
    await this.begin(this.#source.remember(this.#model, read))
    this.#break = null
    const own = primaryKeyOf(this.#model).length === 0 ? { primaryKey: read.primaryKey } : {}
    return { file, columns: read.columns, rowCount: read.rowCount, ...own, position }
  }

  /** Does nothing: how long Kafka keeps records is a setting of the topic. */
  acknowledged(_position: StreamPosition): void {}

  lag(): { readonly records: number | null; readonly oldestCommittedAt: number | null } {
    if (this.#places.length === 0) return { records: null, oldestCommittedAt: null }
    let records = 0
    let oldest: number | null = null
    for (const { cursor } of this.#places) {
      const next = cursor.held
      records += Math.max(0, cursor.end - cursor.offset)
      if (next !== null) oldest = Math.min(oldest ?? Infinity, next.entry.committedAt)
    }
    // Records that are not fetched yet are newer than those that were.
    return { records, oldestCommittedAt: records === 0 ? null : (oldest ?? this.#lastCommittedAt) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { cursor } of this.#places) cursor.leave()
    this.#places = []
    this.#shared.leave()
    await this.#rows?.[Symbol.asyncDispose]()
    this.#rows = null
  }
}

interface TakenEntry {
  readonly placed: PlacedEntry
  readonly order: string
  readonly where: string
}

/** The entries of a slice that is being made. */
class Taken {
  readonly entries: TakenEntry[] = []
  readonly unreadable: { readonly place: string; readonly why: string }[] = []
  bytes = 0
  #most: Pick<SliceBounds, 'rows' | 'bytes'> = { rows: 0, bytes: 0 }
  #isClosed = false

  bound(most: Pick<SliceBounds, 'rows' | 'bytes'>): void {
    this.#most = most
    this.#isClosed = false
  }

  get #count(): number {
    return this.entries.length + this.unreadable.length
  }

  get hasSome(): boolean {
    return this.#count > 0
  }

  get isFull(): boolean {
    return this.#isClosed || this.#count >= this.#most.rows || this.bytes >= this.#most.bytes
  }

  hasRoomFor(bytes: number): boolean {
    return this.bytes + bytes <= this.#most.bytes
  }

  close(): void {
    this.#isClosed = true
  }
}
