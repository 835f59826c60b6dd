/**
 * Finds the last batch of rows in `requests`. The requests of a batch may take several appends, and a
 * renderer may die between two of them. Its successor renders the whole batch again, and writes the missing
 * requests. The remaining rows alone would be divided into other requests.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Marker, Request, RunBegin, Slice, Unrenderable } from '@sluice/contracts/records'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { isTakeover, markerOf, ownRecordAt, readOwnBackwards, readOwned } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'

/** A record in `requests` for the rows of a batch, or for some of them. */
type Written = Request | Unrenderable

interface Reading {
  readonly log: MessageLog
  readonly io: RecordIo
  /** The partition of `changes`. */
  readonly input: TopicPartition
  /** The partition of `requests`. */
  readonly output: TopicPartition
  readonly signal: AbortSignal
}

/**
 * Returns the seq of the last row's change. For a replayed request, it is the change that carried the
 * request.
 */
export function lastChangeOf({
  rows,
  replayOf,
}: {
  readonly rows: readonly { readonly seq: number }[]
  readonly replayOf?: Request['replayOf'] | undefined
}): number {
  return replayOf?.change ?? rows.at(-1)?.seq ?? -1
}

/**
 * Reads the `run-begin` of this record's run from `requests`, with its place. Throws `corrupt` if there is
 * none.
 */
export async function readRunBegin(
  { incarnation, begin: offset }: Pick<Written | Slice, 'incarnation' | 'begin'>,
  reading: Reading,
): Promise<{ readonly begin: RunBegin; readonly offset: number }> {
  const { log, io, output: target, signal } = reading
  const options = { log, io, incarnation, stage: 'requests', target, signal } as const
  const placed = offset === null ? null : await ownRecordAt(options, offset)
  const begin = markerOf(placed?.record ?? null)?.begin ?? null
  if (begin !== null && offset !== null) return { begin, offset }
  throw new SluiceError('corrupt', `no run begins at offset ${String(offset)} of ${target.topic}`)
}

/**
 * Returns the seqs that the run has in `changes` before the end of a slice, which is the record before
 * `input`. Throws `corrupt` if it is gone.
 */
export async function changesBefore(
  { incarnation, run, slice }: Slice,
  input: number,
  reading: Reading,
): Promise<number> {
  const { log, io, input: target, signal } = reading
  const options = { log, io, incarnation, stage: 'changes', target, signal } as const
  const record = (await ownRecordAt(options, input - 1))?.record
  if (record?.name === 'sluice.Slice' && record.value.run === run && record.value.count !== null)
    return record.value.count
  throw new SluiceError(
    'corrupt',
    `slice ${slice} of run ${run} does not end at offset ${input - 1} of ${target.topic}`,
  )
}

/** Returns the position of a marker. Throws `corrupt` if it has none. */
export function positionOf({ kind, position }: Marker): number {
  if (position === null) throw new SluiceError('corrupt', `a ${kind} marker lacks its position`)
  return position
}

/** True if this request has the last row of its batch. */
export async function endsItsBatch(last: Written, reading: Reading): Promise<boolean> {
  const { log, io, input: target, signal } = reading
  const { incarnation, changesEnd: to } = last
  const options = { log, io, target, incarnation, stage: 'changes', signal } as const
  for await (const batch of readOwned({ ...options, from: to - 1, to }))
    for (const { record } of batch.records)
      if (record?.name === 'sluice.Change') return record.value.seq === lastChangeOf(last)
  return true
}

/** Returns the first request of the same batch. `offset` is the place of `last`. */
export async function firstOfBatch(last: Written, offset: number, reading: Reading): Promise<Written> {
  const { log, io, output: target, signal } = reading
  const { incarnation: own } = last
  const options = { log, io, target, incarnation: own, stage: 'requests', before: offset, signal } as const
  let first = last
  for await (const { record } of readOwnBackwards(options)) {
    if (isTakeover(record)) continue
    if (record.name !== 'sluice.Request' && record?.name !== 'sluice.Unrenderable') break
    const { incarnation, run, changesStart } = record.value
    if (incarnation !== last.incarnation || run !== last.run || changesStart !== last.changesStart) break
    first = record.value
  }
  return first
}
