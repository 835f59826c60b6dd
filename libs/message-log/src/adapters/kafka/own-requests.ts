/**
 * The requests that this adapter encodes and decodes itself. kafkajs encodes and decodes all others. Each
 * request here has a version that every broker from 3.9 to 4.x knows. Layouts:
 * https://kafka.apache.org/protocol.
 */
import { ProtocolError } from './errors.ts'
import type { OwnRequest } from './internals.ts'

/** The broker's answer to one appended batch. An `errorCode` of 0 is success. */
export interface Produced {
  readonly errorCode: number
  readonly baseOffset: number
}

/**
 * Makes a Produce request with one batch for one partition. All replicas have to acknowledge it. kafkajs
 * would copy the batch twice, into buffers that it fills with zeros first.
 */
export function produceRequest(request: {
  topic: string
  partition: number
  batch: Buffer
  timeoutMs: number
}): OwnRequest<Produced> {
  const { topic, partition, batch, timeoutMs } = request
  const head = Buffer.concat([
    int16(-1), // No transactional id: the batch is a plain one.
    int16(-1), // All replicas acknowledge it.
    int32(timeoutMs),
    int32(1),
    text(topic),
    int32(1),
    int32(partition),
    int32(batch.length),
  ])
  return { apiKey: 0, apiName: 'Produce', apiVersion: 7, parts: [head, batch], parse: parseProduced }
}

function parseProduced(answer: Buffer): { value: Produced; throttleMs: number } {
  // The answer has one topic with one partition: count, name, count, partition. Then come error, base offset,
  // append time, low offset.
  const afterTopic = 4 + 2 + answer.readInt16BE(4)
  const at = afterTopic + 4 + 4
  return {
    value: { errorCode: answer.readInt16BE(at), baseOffset: Number(answer.readBigInt64BE(at + 2)) },
    throttleMs: answer.readInt32BE(at + 2 + 8 + 8 + 8),
  }
}

export interface FetchPartition {
  readonly topic: string
  readonly partition: number
  readonly fetchOffset: number
  readonly maxBytes: number
}

/** An aborted transaction, by its producer and the offset of its first record in the partition. */
export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  /** The aborted transactions with records in the batches. Empty unless `committedOnly`. */
  readonly aborted: readonly AbortedTransaction[]
  /**
   * Batches, of which the last may be incomplete. This is a view of the answer's buffer, so a caller that
   * keeps it has to copy it.
   */
  readonly batches: Buffer
}

/** The levels of isolation in Kafka's protocol. */
export const READ_UNCOMMITTED = 0
export const READ_COMMITTED = 1

/**
 * Makes a Fetch request. The broker serves the partitions in the given order. Only the first partition with
 * records may return a batch above its limit. kafkajs would reject a whole answer because of one partition's
 * error, and would decode all records at once.
 */
export function fetchRequest(request: {
  partitions: readonly FetchPartition[]
  maxWaitMs: number
  maxBytes: number
  /** True: the answer ends before the first open transaction, and names the aborted ones. */
  committedOnly: boolean
}): OwnRequest<readonly FetchedPartition[]> {
  const body = Buffer.concat([
    int32(-1), // The caller is no replica.
    int32(request.maxWaitMs),
    int32(1), // One byte is enough for an answer.
    int32(request.maxBytes),
    Buffer.from([request.committedOnly ? READ_COMMITTED : READ_UNCOMMITTED]),
    int32(0), // There is no fetch session, and so no session epoch.
    int32(-1),
    int32(request.partitions.length),
    ...request.partitions.flatMap(({ topic, partition, fetchOffset, maxBytes }) => [
      text(topic),
      int32(1),
      int32(partition),
      int32(-1), // The leader epoch is not checked.
      int64(fetchOffset),
      int64(-1), // Only replicas send a low offset.
      int32(maxBytes),
    ]),
    int32(0), // No partition leaves a fetch session.
    text(''), // The rack does not matter.
  ])
  return { apiKey: 1, apiName: 'Fetch', apiVersion: 11, parts: [body], parse: parseFetched }
}

function parseFetched(answer: Buffer): { value: readonly FetchedPartition[]; throttleMs: number } {
  const partitions: FetchedPartition[] = []
  let at = 4 + 2 + 4 // Throttle time, then error and id of a fetch session.
  const topicCount = answer.readInt32BE(at)
  at += 4
  for (let topicsLeft = topicCount; topicsLeft > 0; topicsLeft -= 1) {
    const nameLength = answer.readInt16BE(at)
    const topic = answer.toString('utf8', at + 2, at + 2 + nameLength)
    at += 2 + Math.max(nameLength, 0)
    const partitionCount = answer.readInt32BE(at)
    at += 4
    for (let left = partitionCount; left > 0; left -= 1) {
      const partition = answer.readInt32BE(at)
      const errorCode = answer.readInt16BE(at + 4)
      const highWatermark = Number(answer.readBigInt64BE(at + 6))
      const abortedCount = Math.max(answer.readInt32BE(at + 30), 0)
      at += 34
      const aborted = Array.from({ length: abortedCount }, (_, index) => ({
        producerId: answer.readBigInt64BE(at + index * 16),
        firstOffset: Number(answer.readBigInt64BE(at + index * 16 + 8)),
      }))
      at += abortedCount * 16
      const bytes = Math.max(answer.readInt32BE(at + 4), 0)
      at += 8
      const batches = answer.subarray(at, at + bytes)
      partitions.push({ topic, partition, errorCode, highWatermark, aborted, batches })
      at += bytes
    }
  }
  return { value: partitions, throttleMs: answer.readInt32BE(0) }
}

const TOPIC = 2
const SET = 0

/**
 * Makes an IncrementalAlterConfigs request, which sets some settings of one topic and keeps all others.
 * kafkajs knows only the older request, which would unset all settings that it does not name. Throws
 * ProtocolError if the broker refuses.
 */
export function alterConfigsRequest(request: {
  readonly topic: string
  readonly settings: { readonly [name: string]: string }
}): OwnRequest<null> {
  const settings = Object.entries(request.settings)
  const body = Buffer.concat([
    int32(1),
    Buffer.from([TOPIC]),
    text(request.topic),
    int32(settings.length),
    ...settings.flatMap(([name, value]) => [text(name), Buffer.from([SET]), text(value)]),
    Buffer.from([0]), // `validateOnly` is false: the broker applies the settings.
  ])
  const apiName = 'IncrementalAlterConfigs'
  return { apiKey: 44, apiName, apiVersion: 0, parts: [body], parse: parseAltered }
}

function parseAltered(answer: Buffer): { value: null; throttleMs: number } {
  // The answer has the throttle time, then the requested topic: its error, and the broker's message.
  const at = 4 + 4
  const errorCode = answer.readInt16BE(at)
  if (errorCode === 0) return { value: null, throttleMs: answer.readInt32BE(0) }
  const length = answer.readInt16BE(at + 2)
  const message = length < 0 ? '' : answer.toString('utf8', at + 4, at + 4 + length)
  throw ProtocolError.ofCode(errorCode, message)
}

/** The facts that tell a topic from one of the same name that was made after it was deleted. */
export interface TopicIdentity {
  readonly id: string
  readonly partitions: number
}

const NO_ID = Buffer.alloc(16)
const NO_TAGS = Buffer.alloc(1)

/**
 * Makes a Metadata request about one topic, in the version that tells the id of a topic. kafkajs knows only
 * earlier ones. The answer is null if there is no such topic. Throws ProtocolError for any other error.
 */
export function topicRequest(topic: string): OwnRequest<TopicIdentity | null> {
  const name = Buffer.from(topic)
  const body = Buffer.concat([
    NO_TAGS, // This version has tags behind the header, too.
    compactLength(1),
    NO_ID, // The topic is asked for by its name.
    compactLength(name.length),
    name,
    NO_TAGS,
    Buffer.from([0]), // The broker does not make the topic.
    Buffer.from([0]), // Nor does it say what the user may do.
    NO_TAGS,
  ])
  return { apiKey: 3, apiName: 'Metadata', apiVersion: 12, parts: [body], parse: parseTopic }
}

function parseTopic(answer: Buffer): { value: TopicIdentity | null; throttleMs: number } {
  const at = new Cursor(answer)
  at.skip(1)
  const throttleMs = answer.readInt32BE(at.skip(4))
  for (let left = at.count(); left > 0; left -= 1) {
    at.skip(4)
    at.skip(at.count())
    at.skip(4)
    at.skip(at.count())
    at.tags()
  }
  at.skip(at.count())
  at.skip(4)
  if (at.count() === 0) return { value: null, throttleMs }
  const errorCode = answer.readInt16BE(at.skip(2))
  at.skip(at.count())
  const id = at.skip(16)
  if (errorCode === UNKNOWN_TOPIC) return { value: null, throttleMs }
  if (errorCode !== 0) throw ProtocolError.ofCode(errorCode)
  at.skip(1)
  return { value: { id: answer.toString('hex', id, id + 16), partitions: at.count() }, throttleMs }
}

const UNKNOWN_TOPIC = 3

/** Steps through an answer whose lengths are compact: https://kafka.apache.org/protocol#protocol_types. */
class Cursor {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Returns where it stood. */
  skip(bytes: number): number {
    const before = this.#at
    this.#at += bytes
    return before
  }

  /** Reads the length of a text, or the number of elements. None counts as null, too. */
  count(): number {
    return Math.max(0, this.#unsigned() - 1)
  }

  tags(): void {
    for (let left = this.#unsigned(); left > 0; left -= 1) {
      this.#unsigned()
      this.skip(this.#unsigned())
    }
  }

  #unsigned(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes.readUInt8(this.skip(1))
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
}

function compactLength(length: number): Buffer {
  const bytes: number[] = []
  let left = length + 1
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) + 0x80)
  return Buffer.from([...bytes, left])
}

function int16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([int16(bytes.length), bytes])
}
