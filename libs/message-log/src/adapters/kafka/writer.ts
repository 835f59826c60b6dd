import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { abortable } from '@sluice/flow/abortable'
import {
  ATOMIC_BYTES,
  type AppendResult,
  type FencedWriter,
  type NewRecord,
  type NewRecords,
  type TopicPartition,
} from '../../port.ts'
import { countOf, isBlock, recordsOf } from '../../record-block.ts'
import { type Abort, type KafkaCluster, name } from './cluster.ts'
import { ProtocolError } from './errors.ts'
import { produceRequest } from './own-requests.ts'
import { batchesOf, encodeBatch, encodedSize } from './record-batch.ts'

/**
 * The largest batch that joins several waiting appends to one partition. It is below the limit of any topic,
 * and large enough that joining small appends pays off.
 */
const JOINED_BYTES = 64 * 1024
/**
 * The largest batch with more than one record. Any atomic append fits in, with its overhead.
 */
const BATCH_BYTES = ATOMIC_BYTES + 1024
/**
 * Connections for appends per broker. There are several, so that one slow partition does not delay all other
 * writers.
 */
const PRODUCE_LANES = 4
/** Sequence numbers are 32 bits wide and start again at 0. */
const SEQUENCES = 2 ** 31
const NEVER = new AbortController().signal

/** The producer id and epoch that the cluster assigned. */
export interface ProducerIdentity {
  readonly producerId: bigint
  readonly epoch: number
}

/**
 * Asks the cluster for the producer id of a writer's name, with a higher epoch than any before. For null, it
 * asks for an id that no other producer has. This call alone fences no predecessor. A broker refuses a
 * predecessor's appends to a partition once the new epoch has written there.
 */
export async function initProducer(
  cluster: KafkaCluster,
  id: string | null,
  options: Abort,
): Promise<ProducerIdentity> {
  const subject = id === null ? 'taking a producer id' : `opening the writer ${id}`
  const args = { transactionalId: id, transactionTimeout: 60_000 }
  const answer = await cluster.retry(
    subject,
    async () => {
      const request = { api: 'InitProducerId', args } as const
      if (id === null) return cluster.callAny<{ producerId: string; producerEpoch: number }>(request)
      const node = await cluster.coordinator('transaction', id)
      return cluster.call<{ producerId: string; producerEpoch: number }>(node, 'main', request)
    },
    options,
  )
  return { producerId: BigInt(answer.producerId), epoch: answer.producerEpoch }
}

interface Pending {
  readonly target: TopicPartition
  readonly records: NewRecords
  readonly bytes: number
  readonly result: PromiseWithResolvers<AppendResult>
}

/**
 * A fenced writer. It has one batch under way at a time, so that it sends none after one that failed. Small
 * appends to the same partition that wait meanwhile share the next batch, which is as atomic as each of them.
 * A large append takes several batches. While Kafka does not answer, the writer sends the same batch again
 * under the same sequence numbers, so that the broker stores it once. No other batch ever gets these numbers.
 * States: see FencedWriter.
 */
export class KafkaWriter implements FencedWriter {
  readonly id: string
  readonly #cluster: KafkaCluster
  readonly #producer: ProducerIdentity
  readonly #lane: `produce-${number}`
  readonly #sequences = new Map<string, number>()
  readonly #ended = new AbortController()
  readonly #onEnd: (writer: KafkaWriter) => void
  #queue: Pending[] = []
  #underWay: readonly Pending[] = []
  #sending: Promise<void> | null = null
  #state: 'open' | 'dead' | 'closed' = 'open'

  /** Calls `onEnd` once it is closed or dead. */
  constructor(
    cluster: KafkaCluster,
    options: { id: string; producer: ProducerIdentity; onEnd?: (writer: KafkaWriter) => void },
  ) {
    const { id, producer, onEnd = () => {} } = options
    this.#cluster = cluster
    this.#onEnd = onEnd
    this.id = id
    this.#producer = producer
    this.#lane = `produce-${hash(id) % PRODUCE_LANES}`
  }

  get state(): 'open' | 'dead' | 'closed' {
    return this.#state
  }

  async append(target: TopicPartition, records: NewRecords, options: Abort): Promise<AppendResult> {
    const { signal } = options
    if (this.#state !== 'open') throw this.#refusal()
    if (countOf(records) === 0)
      throw new SluiceError('internal', `an append to ${name(target)} without records`)
    // A broker limits the bytes of a batch, so a larger append goes in several batches, one after the other.
    const isOne = isBlock(records) && encodedSize(records) <= BATCH_BYTES
    const [first = [], ...others] = isOne ? [records] : batchesOf(recordsOf(records), BATCH_BYTES)
    const head = pendingOf(target, first)
    const parts = [head, ...others.map(each => pendingOf(target, each))]
    if (!signal.aborted) {
      this.#queue.push(...parts)
      this.#sending ??= this.#sendAll()
    }
    try {
      await abortable(Promise.all(parts.map(({ result }) => result.promise)), { signal })
      return await head.result.promise
    } catch (error) {
      // The batches of an aborted append may or may not arrive, so no other batch may follow them.
      if (signal.aborted) this.#dieAt(head)
      throw error
    }
  }

  /** Lets appends under way finish, then accepts no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    const sending = this.#sending
    if (this.#state === 'open' && sending !== null) {
      this.#state = 'closed'
      await sending
    }
    this.#state = 'closed'
    this.#ended.abort(this.#refusal())
    this.#onEnd(this)
  }

  async #sendAll(): Promise<void> {
    for (let batch = this.#nextBatch(); batch.length > 0; batch = this.#nextBatch()) {
      const [first] = batch
      if (first === undefined) break
      this.#underWay = batch
      const records =
        batch.length === 1 ? first.records : batch.flatMap(pending => recordsOf(pending.records))
      try {
        let offset = await this.#send(first.target, records)
        for (const pending of batch) {
          pending.result.resolve({ baseOffset: offset })
          offset += countOf(pending.records)
        }
      } catch (error) {
        // These appends shared a batch, so they fail together.
        for (const pending of batch) pending.result.reject(error)
        this.#dieAt(first)
      }
    }
    this.#underWay = []
    this.#sending = null
  }

  /** Takes the waiting appends to the same partition that may share a batch. */
  #nextBatch(): Pending[] {
    const [first] = this.#queue
    if (first === undefined) return []
    let total = 0
    let count = 0
    for (const { target, bytes } of this.#queue) {
      if (target.topic !== first.target.topic || target.partition !== first.target.partition) break
      total += bytes
      if (count > 0 && total > JOINED_BYTES) break
      count += 1
    }
    return this.#queue.splice(0, count)
  }

  /**
   * Sends one batch until the broker acknowledges it. It gives up once a failure is final, or has lasted for
   * the retry time. Returns the offset of the first record.
   */
  async #send(target: TopicPartition, records: NewRecords): Promise<number> {
    const key = name(target)
    const subject = `appending to ${key} as ${this.id}`
    const sequence = this.#sequences.get(key) ?? 0
    const into = this.#cluster.spareBuffers.take(encodedSize(records))
    const producer = { ...this.#producer, sequence }
    const batch = encodeBatch(records, { timestampMs: Date.now(), producer, into })
    let attempts = 0
    const waiting = this.#cluster.waiting(subject)
    try {
      const send = () => {
        attempts += 1
        return this.#sendOnce(target, batch)
      }
      const offset = await this.#cluster.untilKnown(subject, send, { signal: this.#ended.signal })
      // After a second attempt, the lost connection of the first may still use the buffer.
      if (attempts === 1) this.#cluster.spareBuffers.give(into)
      this.#sequences.set(key, (sequence + countOf(records)) % SEQUENCES)
      return offset
    } finally {
      waiting.end()
    }
  }

  async #sendOnce(target: TopicPartition, batch: Buffer): Promise<number> {
    const { settings } = this.#cluster
    return this.#cluster.atLeader(target, async node => {
      const connection = await this.#cluster.connection(node, this.#lane)
      const request = produceRequest({ ...target, batch, timeoutMs: settings.requestTimeoutMs })
      const answer = await connection.send(request, settings.requestTimeoutMs * 2)
      if (answer.errorCode !== 0) throw ProtocolError.ofCode(answer.errorCode)
      return answer.baseOffset
    })
  }

  /** Fails all appends after this one, even in the same batch. The appends before it may succeed. */
  #dieAt(failed: Pending): void {
    if (this.#state === 'open') this.#state = 'dead'
    this.#ended.abort(this.#refusal())
    const sent = this.#underWay.indexOf(failed)
    const after = [...(sent < 0 ? [] : this.#underWay.slice(sent + 1)), ...this.#queue.splice(0)]
    for (const pending of after) pending.result.reject(this.#refusal())
    this.#onEnd(this)
  }

  #refusal(): SluiceError {
    const why = this.#state === 'closed' ? 'it is closed' : 'an earlier append failed'
    return new SluiceError('writer-dead', `the writer ${this.id} accepts no more appends: ${why}`)
  }
}

function pendingOf(target: TopicPartition, records: NewRecords): Pending {
  const result = Promise.withResolvers<AppendResult>()
  result.promise.catch(() => {})
  return { target, records, bytes: encodedSize(records), result }
}

/** FNV-1a over the characters. It only spreads writers over connections. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const character of text) value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 0x01000193)
  return value >>> 0
}

/**
 * Carries out appends that belong to no owner. Each partition gets a writer with a producer id of its own, so
 * that the broker stores a repeated batch once. After a failure, the next append gets a new writer.
 */
export class LooseAppends {
  readonly #cluster: KafkaCluster
  readonly #writers = new Map<string, Promise<KafkaWriter>>()

  constructor(cluster: KafkaCluster) {
    this.#cluster = cluster
  }

  /** An abort only ends the wait. The batch goes on, since it may contain records of other callers. */
  async append(target: TopicPartition, records: readonly NewRecord[], options: Abort): Promise<AppendResult> {
    options.signal.throwIfAborted()
    return abortable(this.#append(target, records, options), options)
  }

  async #append(
    target: TopicPartition,
    records: readonly NewRecord[],
    options: Abort,
  ): Promise<AppendResult> {
    for (;;) {
      const writer = await this.#writerOf(target)
      options.signal.throwIfAborted()
      const outcome = await writer.append(target, records, { signal: NEVER }).catch((error: unknown) => {
        // An earlier failure ended this writer before it sent these records, so a new writer may send them.
        if (isSluiceError(error, 'writer-dead') && !this.#cluster.closed.aborted) return null
        throw error
      })
      if (outcome !== null) return outcome
    }
  }

  async #writerOf(target: TopicPartition): Promise<KafkaWriter> {
    const key = name(target)
    for (;;) {
      const known = this.#writers.get(key) ?? this.#keep(key, this.#open(key))
      const writer = await known
      if (writer.state === 'open') return writer
      if (this.#writers.get(key) === known) this.#writers.delete(key)
    }
  }

  #keep(key: string, writer: Promise<KafkaWriter>): Promise<KafkaWriter> {
    this.#writers.set(key, writer)
    writer.catch(() => {
      if (this.#writers.get(key) === writer) this.#writers.delete(key)
    })
    return writer
  }

  async #open(key: string): Promise<KafkaWriter> {
    const producer = await initProducer(this.#cluster, null, { signal: this.#cluster.closed })
    return new KafkaWriter(this.#cluster, { id: `loose ${key}`, producer })
  }
}
