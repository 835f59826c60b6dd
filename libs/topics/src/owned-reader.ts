/**
 * Reads and decodes the records that count in a partition. It leaves out records of other incarnations, and
 * those that a predecessor managed to write after its successor's marker (PROTOCOL.md §4).
 */
import type { AnyRow } from '@sluice/contracts/avro/encoded-row'
import type { Marker, Owned } from '@sluice/contracts/records'
import type { Row } from '@sluice/contracts/values'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { LogRecord, MessageLog, ReadBatch, TopicPartition } from '@sluice/message-log/port'
import type { RecordIo, Typed } from './record-io.ts'
import { isMarkerKey, keyText, type StageName } from './topics.ts'

/** A record with its place; `record` is null for a tombstone. */
export interface Placed<R = Row> {
  readonly offset: number
  readonly key: Uint8Array
  readonly record: Typed<R> | null
  readonly timestamp: number
  /** Size of the value in the topic; 0 for a tombstone. */
  readonly bytes: number
  /**
   * The reason if the value cannot be read: Sluice did not write it, or its schema is lost. `record` is null
   * then.
   */
  readonly torn?: SluiceError
  /** True for a torn record that certainly no process of Sluice wrote. */
  readonly isForeign?: boolean
  /** True for a torn record whose bytes in the log are damaged, perhaps together with more records. */
  readonly isDamaged?: boolean
  /** The name of its writer, if the log knows it. */
  readonly writer?: string | undefined
}

export interface OwnedBatch<R = Row> {
  readonly records: readonly Placed<R>[]
  readonly nextOffset: number
  /** True if the next part of the same read follows without a wait. */
  readonly isPart: boolean
}

export interface ReadOwnedOptions {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly target: TopicPartition
  readonly incarnation: string
  /**
   * The stage whose takeover markers end earlier owners in this topic. Two stages write `retry` and
   * `captured`, where only delivery's records have values.
   */
  readonly stage: StageName
  readonly from: number
  readonly to?: number
  readonly bufferBytes?: number
  /**
   * True to yield a record that cannot be read as torn. By default, an unreadable record ends the reading as
   * `corrupt`. A record that certainly comes from another program is skipped in any case.
   */
  readonly yieldsTorn?: boolean
  readonly signal: AbortSignal
}

/**
 * Changes are decoded in groups of this size. Decoded changes take several times their bytes, and V8 copies
 * objects that live long: with all changes of a step at once, a million rows took 2 CPU seconds more.
 */
const DECODED_CHANGES = 64

/** At most this many unreadable records in a row wait for the record that tells whether they are foreign. */
const MAX_TORN = 100_000

/**
 * Yields the records that count, in order, with takeover markers. Ends and fails as `MessageLog.read` does.
 */
export function readOwned(options: ReadOwnedOptions): AsyncGenerator<OwnedBatch> {
  return readOwnedBy({ decode: fullDecoding(options.io) }, options)
}

/** Returns the record at this offset; null if it does not count. Rejects as `MessageLog.read` does. */
export async function ownRecordAt(
  options: Omit<ReadOwnedOptions, 'from' | 'to'>,
  offset: number,
): Promise<Placed | null> {
  for await (const { records } of readOwned({ ...options, from: offset, to: offset + 1 }))
    for (const placed of records) return placed
  return null
}

/** Does the same as `readOwned`, and leaves the rows of changes encoded where that is possible. */
export function readOwnedKeepingRows(options: ReadOwnedOptions): AsyncGenerator<OwnedBatch<AnyRow>> {
  const { io } = options
  const decode: Decoding<AnyRow> = (values, signal) => io.decodeKeepingRows(values, { signal })
  return readOwnedBy({ decode, together: DECODED_CHANGES }, options)
}

async function* readOwnedBy<R>(
  { decode, together }: { readonly decode: Decoding<R>; readonly together?: number },
  options: ReadOwnedOptions,
): AsyncGenerator<OwnedBatch<R>> {
  const { log, io, target, from, to, bufferBytes, signal } = options
  const filter = new OwnerFilter(options)
  const reading = log.read(target, {
    signal,
    from,
    ...(to === undefined ? {} : { to }),
    ...(bufferBytes === undefined ? {} : { bufferBytes }),
  })
  for await (const batch of reading)
    for (const part of partsOf(batch, together)) {
      const records: Placed<R>[] = []
      for (const placed of await decodeEachBy(decode, part.records, signal)) {
        if (placed.torn === undefined) {
          if (filter.passes(placed)) records.push(placed)
        } else if (await filter.isForeign(placed)) io.foreign.take(target, placed.offset, placed.torn)
        else if (options.yieldsTorn === true) records.push(placed)
        else throw unreadableAt(target, placed.offset, placed.torn)
      }
      yield { records, nextOffset: part.nextOffset, isPart: part.isPart ?? false }
    }
}

/** Divides a batch into parts of at most `most` records. Without a number, the batch stays as it is. */
function* partsOf(batch: ReadBatch, most = Number.POSITIVE_INFINITY): Generator<ReadBatch> {
  let rest = batch.records
  for (; rest.length > most; rest = rest.slice(most)) {
    const records = rest.slice(0, most)
    yield { records, nextOffset: (records.at(-1)?.offset ?? 0) + 1, isPart: true }
  }
  yield { ...batch, records: rest }
}

/** Returns the error for an unreadable record, or for a range of offsets up to and including `to`. */
export function unreadableAt(
  { topic, partition }: TopicPartition,
  offset: number | { readonly from: number; readonly to: number },
  error: SluiceError,
): SluiceError {
  const { from, to } = typeof offset === 'number' ? { from: offset, to: offset } : offset
  const place = from === to ? `at offset ${from}` : `between offset ${from} and offset ${to}`
  return new SluiceError(
    'corrupt',
    `Partition ${partition} of the topic ${topic} has ${place} what cannot be read: ${error.message} ` +
      'No run of the sync comes past it. If its schema was lost, restore the schema; if another program has ' +
      'written it, `sluice reset` lets the sync begin again, and forgets what was delivered.',
    { cause: error },
  )
}

/**
 * Decodes records of a topic that all syncs share. A record that cannot be read, or lacks a wanted signature,
 * is torn, and the process reports it as foreign.
 */
export async function decodeShared(
  io: RecordIo,
  { target, records }: { readonly target: TopicPartition; readonly records: readonly LogRecord[] },
  signal: AbortSignal,
): Promise<readonly Placed[]> {
  const believed = records.map(record => {
    const error = io.distrust(target.topic, record)
    return error === null ? record : { ...record, unreadable: { error, isForeign: true } }
  })
  const placed = await decodeEach(io, believed, signal)
  for (const { offset, torn } of placed) if (torn !== undefined) io.foreign.take(target, offset, torn)
  return placed
}

/** Decodes records in order; tombstones stay null. A `corrupt` record is yielded as torn. */
export function decodeEach(
  io: RecordIo,
  records: readonly LogRecord[],
  signal: AbortSignal,
): Promise<readonly Placed[]> {
  return decodeEachBy(fullDecoding(io), records, signal)
}

type Decoding<R> = (values: readonly Uint8Array[], signal: AbortSignal) => Promise<readonly Typed<R>[]>

function fullDecoding(io: RecordIo): Decoding<Row> {
  return (values, signal) => io.decode(values, { signal })
}

async function decodeEachBy<R>(
  decode: Decoding<R>,
  records: readonly LogRecord[],
  signal: AbortSignal,
): Promise<readonly Placed<R>[]> {
  try {
    return await decodeRecords(decode, records, signal)
  } catch (error) {
    if (!isSluiceError(error, 'corrupt')) throw error
    const [only] = records
    // An unreadable record may wait long for its schema. Decoding one by one, it waits only once.
    if (records.length > 1 || only === undefined) {
      const placed: Placed<R>[] = []
      for (const record of records) placed.push(...(await decodeEachBy(decode, [record], signal)))
      return placed
    }
    const { offset, key, timestamp, value, writer } = only
    const isForeign = only.unreadable?.isForeign === true
    const isDamaged = only.unreadable !== undefined && !isForeign
    const place = { offset, key, timestamp, writer, bytes: value?.length ?? 0 }
    return [{ ...place, record: null, torn: error, isForeign, isDamaged }]
  }
}

/** Decodes records in order; tombstones stay null. */
async function decodeRecords<R>(
  decode: Decoding<R>,
  records: readonly LogRecord[],
  signal: AbortSignal,
): Promise<readonly Placed<R>[]> {
  const values: Uint8Array[] = []
  for (const { value, unreadable } of records) {
    if (unreadable !== undefined) throw unreadable.error
    if (value !== null) values.push(value)
  }
  const typed = await decode(values, signal)
  let next = 0
  return records.map(({ offset, key, value, timestamp, writer }) => ({
    offset,
    key,
    timestamp,
    writer,
    record: value === null ? null : (typed[next++] ?? null),
    bytes: value?.length ?? 0,
  }))
}

/** Owners are offsets of markers in the partition itself, so a later owner has a larger offset. */
class OwnerFilter {
  readonly #options: Omit<ReadOwnedOptions, 'from'>
  #newest = -1
  /** The writer of the last record of the owner. */
  #writer: string | undefined

  constructor(options: Omit<ReadOwnedOptions, 'from'>) {
    this.#options = options
  }

  passes(placed: Placed<unknown>): boolean {
    if (placed.record === null) return true
    const { incarnation, stage } = this.#options
    const owned = ownedOf(placed.record)
    if (owned === null || owned.incarnation !== incarnation) return false
    const takeover = isTakeover(placed.record)
    if (takeover && !keyText(placed.key.subarray(1)).startsWith(`takeover/${stage}/`)) return false
    const owner = takeover ? placed.offset : owned.owner
    if (owner < this.#newest) return false
    this.#newest = owner
    this.#writer = placed.writer
    return true
  }

  /** True if certainly no owner of the partition wrote this torn record. */
  async isForeign(placed: Placed<unknown>): Promise<boolean> {
    if (!isAppendedOnly(this.#options)) return false
    if (this.#writer === undefined && placed.isForeign !== true)
      for await (const { writer } of readOwnBackwards({ ...this.#options, before: placed.offset })) {
        this.#writer = writer
        break
      }
    return isForeignTo(placed, this.#writer)
  }
}

/**
 * True for `requests` and `attempts`. The other topics are compacted by key. There, a foreign record may have
 * replaced a record of ours, and is the only trace of it.
 */
function isAppendedOnly({ target, stage }: Pick<ReadOwnedOptions, 'target' | 'stage'>): boolean {
  return stage !== 'changes' && target.topic.endsWith(`.${stage}`)
}

/**
 * True if a torn record comes from another writer than the owner before it. Each owner begins with a marker,
 * so its records follow a record that can be read. An unreadable marker may belong to an owner, so it is
 * never foreign. If the log knows no writers, nothing is certain.
 */
function isForeignTo({ key, writer, isForeign }: Placed<unknown>, owner: string | undefined): boolean {
  if (isForeign === true) return true
  if (isMarkerKey(key) || writer === undefined || owner === undefined) return false
  return writer !== owner
}

function ownedOf(record: Typed<unknown>): Owned | null {
  switch (record.name) {
    case 'sluice.Marker':
    case 'sluice.Change':
    case 'sluice.Request':
    case 'sluice.Unrenderable':
    case 'sluice.Attempt':
    case 'sluice.RetryEntry':
    case 'sluice.Captured':
    case 'sluice.Slice':
      return record.value
    default:
      return null
  }
}

export function isTakeover(record: Typed<unknown>): boolean {
  return record.name === 'sluice.Marker' && record.value.kind === 'takeover'
}

/**
 * Returns the last record that is no takeover marker, and so has the position of its stage; null if there is
 * none.
 */
export async function lastOwnRecord(
  options: ReadBackwardsOptions & { readonly matches?: (record: Typed) => boolean },
): Promise<OwnRecord | null> {
  const matches = options.matches ?? (() => true)
  for await (const placed of readOwnBackwards(options))
    if (!isTakeover(placed.record) && matches(placed.record)) return placed
  return null
}

export type OwnRecord = Placed & { readonly record: Typed }

type ReadBackwardsOptions = Omit<ReadOwnedOptions, 'from' | 'to' | 'bufferBytes' | 'yieldsTorn'> & {
  readonly before?: number
}

/**
 * Yields the records of an incarnation with their takeover markers, the newest first. A record that cannot be
 * read ends the reading as `corrupt`, unless it certainly comes from another program.
 */
export async function* readOwnBackwards(options: ReadBackwardsOptions): AsyncGenerator<OwnRecord> {
  const { log, io, target, incarnation, before, signal } = options
  // The next record of an owner shows whether these are foreign.
  const torn: { readonly placed: Placed; readonly error: SluiceError }[] = []
  const judge = (owner: string | undefined): void => {
    for (const { placed, error } of torn.splice(0)) {
      if (!isAppendedOnly(options) || !isForeignTo(placed, owner))
        throw unreadableAt(target, placed.offset, error)
      io.foreign.take(target, placed.offset, error)
    }
  }
  for await (const record of log.readBackwards(target, {
    signal,
    ...(before === undefined ? {} : { before }),
  })) {
    const [placed] = await decodeEach(io, [record], signal)
    if (placed?.torn !== undefined) torn.push({ placed, error: placed.torn })
    if (!isAppendedOnly(options) || torn.length >= MAX_TORN) judge(undefined)
    if (placed?.record === undefined || placed.record === null) continue
    if (ownedOf(placed.record)?.incarnation !== incarnation) continue
    judge(placed.writer)
    yield { ...placed, record: placed.record }
  }
  judge(undefined)
}

/** True for a record without a row: a marker, or the end of a slice. */
export function isMarking(record: Pick<Typed<unknown>, 'name'>): boolean {
  return record.name === 'sluice.Marker' || record.name === 'sluice.Slice'
}

/** Returns the marker in a record; null for another record. */
export function markerOf(record: Typed<unknown> | null): Marker | null {
  return record?.name === 'sluice.Marker' ? record.value : null
}
