/**
 * Finds what the next run of a sync would publish, as a run finds it, without writing to any topic. The
 * changes go through the same Avro as those of a run. So the requests made of them are the same to the byte.
 */
import { changeSchema } from '@sluice/contracts/avro/schemas'
import type { Change, ChangedDestination, DeliveredTo, Fault } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import type { Op } from '@sluice/contracts/state'
import type { Column } from '@sluice/contracts/values'
import type { DeliveredState, StateOptions, DetectedChange, Diff } from '@sluice/delivered-state/port'
import { changedDestination, deliveredTo } from '@sluice/domain/held/delivered-to'
import type { MessageLog } from '@sluice/message-log/port'
import type { Source } from '@sluice/sources/port'
import { knownIncarnation } from '@sluice/resources/incarnations'
import type { RecordIo } from '@sluice/topics/record-io'
import type { RunsView } from '@sluice/runs/runs-view'
import { homePartition, syncTopics } from '@sluice/topics/topics'
import { blockRowsOf, PartitionAssigner } from '../publish/assign-partitions.ts'
import { withOwnValues } from '../publish/captured-values.ts'
import { detectChanges, type Detected } from './detect-changes.ts'
import { feedState } from './feed-state.ts'
import { readModel } from './read-model.ts'
import { findRuns } from '@sluice/runs/machine/find-runs'
import { readTails } from '../sync/own-sync.ts'

/** Stands for the incarnation of a sync that was never run and has none. */
const NO_INCARNATION = 'none'
/** Changes that are decoded at once. */
const DECODED_ROWS = 500

export interface NextChangesDeps {
  /** The topics as they are, which are only read; null if nothing ever ran. */
  readonly history: {
    readonly log: MessageLog
    readonly io: RecordIo
    readonly prefix: string
    readonly runs: RunsView
  } | null
  /**
   * Encodes the changes and decodes them again. The preview has an instance of its own, which keeps nothing.
   */
  readonly io: RecordIo
  readonly definition: Definition
  readonly openSource: (definition: Definition) => Promise<Source>
  /** Opens a state that nothing else uses, and that goes away afterwards. */
  readonly openState: (options: StateOptions) => Promise<DeliveredState>
  /** A path that does not exist yet. */
  readonly extractFile: string
  readonly signal: AbortSignal
}

/** Selects some of the changes. The requests are made as if nothing else had changed. */
export interface Narrowing {
  readonly op?: Op | undefined
  readonly key?: string | undefined
  /** The greatest number of changes; absent: all. */
  readonly rows?: number | undefined
}

export interface PlacedRow {
  readonly partition: number
  /** Size of the change as the topic would have it. */
  readonly bytes: number
  readonly change: Change
  /** True for a sample: the run has no change of that op, so a row of the model stands in for one. */
  readonly isSample: boolean
}

/** The next run. Its changes stay readable until it is disposed. */
export interface NextChanges extends AsyncDisposable {
  readonly columns: readonly Column[]
  readonly diff: Omit<Diff, 'changes'>
  /** True if the run would take the rows as being at the destination already, and would send none. */
  readonly baseline: boolean
  /** True if somebody has to say first how the sync begins. */
  readonly asks: boolean
  /**
   * True if an earlier run did not end. The rest of that run goes out before the next run. The changes here
   * assume that all of it is delivered.
   */
  readonly interrupted: boolean
  /** The change of destination for which the run would be held; null if there is none. */
  readonly changed: ChangedDestination | null
  /**
   * The changes that have a trigger, in the order in which a run publishes them. Each has the partition that
   * it would go to. May be iterated once.
   *
   * If no change has the wanted op, the first row of the model that fits stands in, with its present values.
   * For `changed`, the earlier values are the delivered values, or else the present values again.
   */
  changes(narrowing: Narrowing): AsyncIterable<readonly PlacedRow[]>
}

/** Rejects as a run would fail, with the same errors. */
export async function findNextChanges(deps: NextChangesDeps): Promise<NextChanges> {
  const { definition, extractFile, signal } = deps
  await using opening = new AsyncDisposableStack()
  // A source may get ready while the topics are read.
  const source = opening.use(await deps.openSource(definition))
  const past = await readPast(deps)
  const { incarnation, partitions, first, interrupted } = past
  const to = deliveredTo(definition.destination)
  const state = opening.use(await deps.openState({ sync: definition.sync.name, incarnation, partitions }))
  await bringUpToDate(state, past, deps)
  // The model is read last. If a run ended after the reading, its rows would seem to have changed back.
  const reading = opening.use(readModel({ source, definition, file: extractFile, signal }))
  const baseline = first && definition.sync.firstRun === 'skip-existing'
  const detected = await detectChanges({ state, reading, definition, baseline, signal })
  const opened = opening.move()
  return {
    columns: detected.columns,
    diff: detected.diff,
    baseline,
    asks: first && definition.sync.firstRun === 'ask',
    interrupted,
    changed: changedDestination(past.deliveredTo, to, detected.diff.keysBefore),
    changes: narrowing => placedRows(detected, { ...deps, ...past, narrowing }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** The sync before its next run, as the topics have it. */
interface Past {
  readonly incarnation: string
  readonly partitions: number
  readonly lastRun: number
  readonly first: boolean
  readonly interrupted: boolean
  readonly faults: readonly Fault[]
  readonly deliveredTo: DeliveredTo | null
  /** False where the sync has no topics. */
  readonly known: boolean
}

async function readPast({ history, definition, signal }: NextChangesDeps): Promise<Past> {
  const { name, partitions } = definition.sync
  const nothing = { lastRun: 0, first: true, interrupted: false, faults: [], deliveredTo: null, known: false }
  const incarnation = history === null ? null : await knownIncarnation(history, name, { signal })
  if (history === null || incarnation === null) return { ...nothing, incarnation: NO_INCARNATION, partitions }
  const { log, io, prefix, runs } = history
  const topics = syncTopics(prefix, name)
  const existing = await log.partitionsOf(topics.changes, { signal })
  if (existing === null) return { ...nothing, incarnation, partitions }
  await runs.caughtUp(homePartition(name), { signal })
  const tails = await readTails({ log, io }, { topics, incarnation, partitions: existing, signal })
  const life = findRuns(runs.of(name), name, tails)
  return {
    incarnation,
    partitions: existing,
    lastRun: life.lastRun,
    first: life.first,
    interrupted: life.atWork !== null,
    faults: life.faults,
    deliveredTo: life.deliveredTo,
    known: true,
  }
}

async function bringUpToDate(state: DeliveredState, past: Past, deps: NextChangesDeps): Promise<void> {
  const { history, definition, signal } = deps
  if (history === null || !past.known) return
  const { incarnation, partitions, faults } = past
  const topics = syncTopics(history.prefix, definition.sync.name)
  await feedState(state, { ...history, topics, partitions, incarnation, faults, signal })
}

async function* placedRows(
  detected: Detected,
  options: Pick<NextChangesDeps, 'io' | 'definition' | 'signal'> & Past & { readonly narrowing: Narrowing },
): AsyncGenerator<readonly PlacedRow[]> {
  const { io, definition, incarnation, partitions, lastRun, narrowing, signal } = options
  const { columns } = detected
  const schema = changeSchema(columns)
  const encoder = await io.changeEncoder({ sync: definition.sync.name, incarnation, schema }, { signal })
  const assigner = new PartitionAssigner(partitions, blockRowsOf(definition.sync))
  const place = { incarnation, owner: 0, run: lastRun + 1, seq: 0, replayed: null }
  for await (const { found, isSample } of wantedOrSample(detected, narrowing)) {
    const targets = found.map(change => assigner.partitionOf(change))
    const encoded = found.map(change => encoder.encode({ ...withOwnValues(change), ...place }))
    const decoded = await io.decode(encoded, { signal })
    yield decoded.flatMap((record, index) => {
      if (record.name !== 'sluice.Change') return []
      const bytes = encoded[index]?.length ?? 0
      return [{ partition: targets[index] ?? 0, bytes, change: record.value, isSample }]
    })
  }
}

async function* wantedOrSample(
  { diff, everyRow }: Detected,
  narrowing: Narrowing,
): AsyncGenerator<{ readonly found: readonly DetectedChange[]; readonly isSample: boolean }> {
  let isFound = false
  for await (const found of wanted(diff, narrowing)) {
    isFound ||= found.length > 0
    yield { found, isSample: false }
  }
  const { op, rows = 1 } = narrowing
  if (isFound || op === undefined) return
  for await (const found of wanted(await everyRow(), { ...narrowing, op: 'added', rows }))
    yield { found: found.map(change => asIf(change, op)), isSample: true }
}

/** Makes the change of a row as if it had this op. */
export function asIf<C extends Change | DetectedChange>(row: C, op: Op): C {
  const { after } = row
  switch (op) {
    case 'added':
      return { ...row, op, before: null, beforeState: 'absent', retried: null }
    case 'changed':
      return { ...row, op, before: row.before ?? after, beforeState: 'present', retried: null }
    case 'removed':
      return { ...row, op, before: after, beforeState: 'present', after: null, retried: null }
    default:
      return op satisfies never
  }
}

/** The changes with a trigger that are wanted, in pieces of a bounded size. */
async function* wanted(
  diff: Diff,
  { op, key, rows = Number.MAX_SAFE_INTEGER }: Narrowing,
): AsyncGenerator<readonly DetectedChange[]> {
  let left = rows
  for await (const { changes } of diff.changes()) {
    const fitting = changes.filter(
      change =>
        change.op !== 'settled' &&
        (op === undefined || change.op === op) &&
        (key === undefined || change.key === key),
    )
    for (let from = 0; from < fitting.length && left > 0; from += DECODED_ROWS) {
      const piece = fitting.slice(from, from + Math.min(DECODED_ROWS, left))
      left -= piece.length
      yield piece
    }
    if (left <= 0) return
  }
}
