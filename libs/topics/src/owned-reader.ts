/**
 * Reads a partition as its stages wrote it, decoded. It leaves out records of other incarnations. It also
 * leaves out the records that a predecessor managed to write after its successor's marker (PROTOCOL.md §4).
 */
import type { Marker, Owned } from '@sluice/contracts/records'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { LogRecord, MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { RecordIo, Typed } from './record-io.ts'
import { keyText, type StageName } from './topics.ts'

/** A record with its place; `record` is null for a tombstone. */
export interface Placed {
  readonly offset: number
  readonly key: Uint8Array
  readonly record: Typed | null
  readonly timestamp: number
  /** Size of the value in the topic; 0 for a tombstone. */
  readonly bytes: number
  /** Why the value cannot be read: Sluice did not write it, or its schema is lost. `record` is null then. */
  readonly torn?: SluiceError
}

export interface OwnedBatch {
  readonly records: readonly Placed[]
  readonly nextOffset: number
}

export interface ReadOwnedOptions {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly target: TopicPartition
  readonly incarnation: string
  /**
   * The stage whose takeover markers end earlier owners here. Two stages write `retry` and `captured`, and
   * only delivery's records have values.
   */
  readonly stage: StageName
  readonly from: number
  readonly to?: number
  readonly bufferBytes?: number
  /**
   * True to yield a record that cannot be read as torn. Otherwise such a record ends the reading as
   * `corrupt`.
   */
  readonly yieldsTorn?: boolean
  readonly signal: AbortSignal
}

/**
 * Yields the records that count, in order, with the takeover markers. Ends and fails as `MessageLog.read`
 * does.
 */
export async function* readOwned(options: ReadOwnedOptions): AsyncGenerator<OwnedBatch> {
  const { log, io, target, incarnation, stage, from, to, bufferBytes, signal } = options
  const decode = options.yieldsTorn === true ? decodeEach : decodeAll(target)
  const filter = new OwnerFilter(incarnation, stage)
  const reading = log.read(target, {
    signal,
    from,
    ...(to === undefined ? {} : { to }),
    ...(bufferBytes === undefined ? {} : { bufferBytes }),
  })
  for await (const batch of reading) {
    const placed = await decode(io, batch.records, signal)
    yield { records: placed.filter(record => filter.passes(record)), nextOffset: batch.nextOffset }
  }
}

/** Decodes records in order. A record that cannot be read is `corrupt`, and the error says where it is. */
function decodeAll({ topic, partition }: TopicPartition): typeof decodeRecords {
  return async (io, records, signal) => {
    try {
      return await decodeRecords(io, records, signal)
    } catch (error) {
      if (!isSluiceError(error, 'corrupt')) throw error
      const torn = (await decodeEach(io, records, signal)).find(placed => placed.torn !== undefined)
      throw new SluiceError(
        'corrupt',
        `Partition ${partition} of the topic ${topic} has at offset ${torn?.offset ?? 'unknown'} what cannot be read: ${error.message} ` +
          'No run of the sync comes past it. If its schema was lost, restore the schema; if another program has ' +
          'written it, `sluice reset` lets the sync begin again, and forgets what was delivered.',
        { cause: error },
      )
    }
  }
}

/** Decodes records in order, as `decodeRecords` does. A `corrupt` record is yielded as torn. */
export async function decodeEach(
  io: RecordIo,
  records: readonly LogRecord[],
  signal: AbortSignal,
): Promise<readonly Placed[]> {
  try {
    return await decodeRecords(io, records, signal)
  } catch (error) {
    if (!isSluiceError(error, 'corrupt')) throw error
    const [only] = records
    if (records.length > 1 || only === undefined) {
      const half = Math.ceil(records.length / 2)
      const first = await decodeEach(io, records.slice(0, half), signal)
      return [...first, ...(await decodeEach(io, records.slice(half), signal))]
    }
    const { offset, key, timestamp, value } = only
    return [{ offset, key, timestamp, record: null, bytes: value?.length ?? 0, torn: error }]
  }
}

/** Decodes records in order; tombstones stay null. */
export async function decodeRecords(
  io: RecordIo,
  records: readonly LogRecord[],
  signal: AbortSignal,
): Promise<readonly Placed[]> {
  const values: Uint8Array[] = []
  for (const { value } of records) if (value !== null) values.push(value)
  const typed = await io.decode(values, { signal })
  let next = 0
  return records.map(({ offset, key, value, timestamp }) => ({
    offset,
    key,
    timestamp,
    record: value === null ? null : (typed[next++] ?? null),
    bytes: value?.length ?? 0,
  }))
}

/** Owners are offsets of markers in the partition itself, so a later owner has the larger one. */
class OwnerFilter {
  readonly #incarnation: string
  readonly #stage: StageName
  #newest = -1

  constructor(incarnation: string, stage: StageName) {
    this.#incarnation = incarnation
    this.#stage = stage
  }

  passes(placed: Placed): boolean {
    if (placed.record === null) return true
    const owned = ownedOf(placed.record)
    if (owned === null || owned.incarnation !== this.#incarnation) return false
    const takeover = isTakeover(placed.record)
    if (takeover && !keyText(placed.key.subarray(1)).startsWith(`takeover/${this.#stage}/`)) return false
    const owner = takeover ? placed.offset : owned.owner
    if (owner < this.#newest) return false
    this.#newest = owner
    return true
  }
}

function ownedOf(record: Typed): Owned | null {
  switch (record.name) {
    case 'sluice.Marker':
    case 'sluice.Change':
    case 'sluice.Request':
    case 'sluice.Unrenderable':
    case 'sluice.Attempt':
    case 'sluice.RetryEntry':
    case 'sluice.Captured':
      return record.value
    default:
      return null
  }
}

export function isTakeover(record: Typed): boolean {
  return record.name === 'sluice.Marker' && record.value.kind === 'takeover'
}

/**
 * The last record of a partition that is no takeover marker: it has a stage's own position. Null if there is
 * none.
 */
export async function lastOwnRecord(
  options: Omit<ReadOwnedOptions, 'from' | 'to' | 'bufferBytes'> & {
    readonly matches?: (record: Typed) => boolean
  },
): Promise<Placed | null> {
  const { log, io, target, incarnation, signal } = options
  const matches = options.matches ?? (() => true)
  for await (const record of log.readBackwards(target, { signal })) {
    const [placed] = await decodeAll(target)(io, [record], signal)
    if (placed?.record === undefined || placed.record === null) continue
    if (isTakeover(placed.record) || ownedOf(placed.record)?.incarnation !== incarnation) continue
    if (matches(placed.record)) return placed
  }
  return null
}

/** The marker in a record, if it is one. */
export function markerOf(record: Typed | null): Marker | null {
  return record?.name === 'sluice.Marker' ? record.value : null
}
