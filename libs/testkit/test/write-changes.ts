/** A run of added rows in one partition of `changes`, written as a detector writes it. */
import { changeSchema } from '@sluice/contracts/avro/schemas'
import type { Change, RunBegin } from '@sluice/contracts/records'
import type { Column, Row } from '@sluice/contracts/values'
import { plainMarker, takeOver } from '@sluice/partition/take-over'
import { at, markerKey, sliceKey, syncTopics, textKey } from '@sluice/topics/topics'
import { INCARNATION, sampleChange, sampleSlice, SYNC } from './sample-records.ts'
import type { TestLog } from './test-log.ts'

const { signal } = new AbortController()
const APPENDED_RECORDS = 500

export interface WrittenRun {
  readonly begin: RunBegin
  readonly columns: readonly Column[]
  /** The rows by key, in order. A row may set more fields of its change. */
  readonly rows: Iterable<{ readonly key: string; readonly row: Row; readonly change?: Partial<Change> }>
  /** Default 0. */
  readonly partition?: number
  /** Records of one append; default 500. */
  readonly appended?: number
  /** Returns the number of slices that end behind this many rows; default none. */
  readonly slicesAt?: (rows: number) => number
  /** False if the run goes on. */
  readonly ends?: boolean
}

/** Takes the partition over, and writes the run from `run-begin` to `run-end`; resolves with its rows. */
export async function writeChanges({ log, io, prefix }: TestLog, run: WrittenRun): Promise<number> {
  const { begin, columns, partition = 0, appended = APPENDED_RECORDS } = run
  const target = at(syncTopics(prefix, SYNC).changes, partition)
  const of = { log, io, prefix, sync: SYNC, incarnation: INCARNATION, partition, signal }
  await using ownership = await takeOver({ ...of, stage: 'changes', targets: [target] })
  const owner = ownership.markerOffset(target)
  const schema = changeSchema(columns)
  const encoder = await io.changeEncoder({ sync: SYNC, incarnation: INCARNATION, schema }, { signal })
  const marker = (kind: 'run-begin' | 'run-end', count: number | null) => ({
    key: markerKey(kind, `${partition}`),
    value: io.encode('Marker', { ...plainMarker(kind, INCARNATION, owner), begin, count }),
  })
  const { end: beginOffset } = await log.offsets(target, { signal })
  let pending = [marker('run-begin', null)]
  let seq = 0
  let slices = 0
  const endSlices = (): void => {
    for (let count = run.slicesAt?.(seq) ?? 0; count > 0; count -= 1) {
      slices += 1
      const of = { owner, run: begin.run, slice: slices, begin: beginOffset, count: seq, input: null }
      pending.push({
        key: sliceKey(partition),
        value: io.encode('Slice', sampleSlice({ ...of, committedAt: slices })),
      })
    }
  }
  endSlices()
  for (const { key, row, change = {} } of run.rows) {
    const whole = sampleChange({ owner, run: begin.run, seq, key, after: row, ...change })
    pending.push({ key: textKey(key), value: encoder.encode(whole) })
    seq += 1
    endSlices()
    if (pending.length < appended) continue
    await ownership.append(target, pending, { signal })
    pending = []
  }
  if (run.ends !== false) pending.push(marker('run-end', seq))
  if (pending.length > 0) await ownership.append(target, pending, { signal })
  return seq
}
