/** The life of one row: all that happened to it, as far as the topics and the index hold it. */
import { isDeepStrictEqual } from 'node:util'
import type { AttemptView } from '@sluice/contracts/api'
import type { RowLife } from '@sluice/contracts/views/history-views'
import type { RetryEntry, Change } from '@sluice/contracts/records'
import type { KeyStateKind } from '@sluice/contracts/state'
import type { Row } from '@sluice/contracts/values'
import { transition } from '@sluice/domain/key-state'
import { isoTime } from '@sluice/domain/iso-time'
import { isEnded } from '@sluice/domain/run-status'
import type { SyncRuns } from '@sluice/runs/runs-view'
import { entryView } from '../read-failed-rows.ts'
import type { MentionedRecords, PlacedRecord } from './read-mentions.ts'
import { shownRow } from './shown-row.ts'

/** A change, with its entry in `retry` if it was not delivered. */
interface ChangeWithEntry extends PlacedRecord<Change> {
  readonly entry: RetryEntry | null
  /** The time of the answer that delivered it, in ms since 1970; null if no such attempt is known. */
  readonly answeredAt: number | null
}

export interface RowRecords {
  readonly sync: string
  readonly key: string
  readonly runs: SyncRuns
  readonly records: MentionedRecords
  /** The newest first. */
  readonly attempts: readonly AttemptView[]
  /** True if there are more records or attempts than these. */
  readonly more: boolean
}

/** Null for a key that has no changes, no attempts and no tombstone. */
export function rowLife(row: RowRecords): RowLife | null {
  const { sync, key, runs, records, attempts, more } = row
  const runIds = new Map([...runs.events.values()].map(({ run, runId }) => [run, runId]))
  const changes = changesOf(records).map(change => {
    const answeredAt = change.entry === null ? answerOf(runIds.get(change.value.run), attempts) : null
    return { ...change, answeredAt }
  })
  if (changes.length === 0 && attempts.length === 0 && !records.isForgotten) return null
  const [last] = changes
  const state = last === undefined ? null : withItsTime(stateAfter(last, runs), changes)
  const captured = records.captured.at(-1)?.value.values ?? last?.value.captured ?? null
  const open = [...records.retry.values()].at(-1)?.value ?? null
  return {
    sync,
    key,
    state,
    muted: typeof last?.value.muted === 'string',
    retry: open === null ? null : entryView(open),
    captured: captured === null ? null : parsedObject(captured),
    changes: changes.map(change => changeView(change, runIds.get(change.value.run) ?? null)),
    attempts: [...attempts],
    more,
  }
}

/** Returns the time at which the row's request in the run was answered as delivered. */
function answerOf(run: string | null | undefined, attempts: RowRecords['attempts']): number | null {
  const found = attempts.find(attempt => attempt.run === run && attempt.outcome === 'delivered')
  return found === undefined ? null : Date.parse(found.startedAt) + found.durationMs
}

/**
 * The time from which the change is at the destination. Without a known answer, that of the change itself.
 */
const timeOf = ({ answeredAt, at }: ChangeWithEntry): number => answeredAt ?? at

/** The changes, the newest first. Among several partitions, the change of the highest run is the last one. */
function changesOf({ changes, retry }: MentionedRecords): readonly Omit<ChangeWithEntry, 'answeredAt'>[] {
  return changes
    .map(change => {
      const entry = retry.get(change.partition)?.value ?? null
      const isOfIt = entry !== null && entry.run === change.value.run && entry.seq === change.value.seq
      return { ...change, entry: isOfIt ? entry : null }
    })
    .toSorted((a, b) => b.value.run - a.value.run || b.at - a.at)
}

const IS_CERTAIN: ReadonlySet<KeyStateKind> = new Set(['absent', 'present'])

function stateAfter(change: ChangeWithEntry, runs: SyncRuns): RowLife['state'] {
  const { value, entry, answeredAt, partition } = change
  const { op, run, before, beforeState, after, settledState, replayed } = value
  const since = new Date(timeOf(change)).toISOString()
  const stateOf = (state: KeyStateKind, row: Row | null): RowLife['state'] => {
    return { is: state, certain: IS_CERTAIN.has(state), row: shownRow(row), since }
  }
  if (op === 'settled') return stateOf(settledState ?? 'absent', after)
  const report = runs.reports.get(partition)
  const hasReported = report !== undefined && (report.run > run || (report.run === run && report.ended))
  const hasEnded = [...runs.events.values()].some(event => event.run === run && isEnded(event.status))
  if (entry === null && answeredAt === null && !hasReported && !hasEnded)
    return { is: 'under-way', certain: false, row: shownRow(before), since }
  // A recorded request that is sent again does not change the state that was settled before it.
  if (replayed !== null) return stateOf(beforeState, before)
  const { state, row } = transition(beforeState, op, entry?.outcome ?? 'delivered')
  return stateOf(state, row === 'after' ? after : row === 'before' ? before : null)
}

/** A change that was not delivered leads to no other state, so the time is that of an earlier change. */
function withItsTime(state: RowLife['state'], changes: readonly ChangeWithEntry[]): RowLife['state'] {
  if (state === null || state.is === 'under-way') return state
  const led = changes.find(
    ({ value: { beforeState, before } }) =>
      beforeState !== state.is || !isDeepStrictEqual(shownRow(before), state.row),
  )
  const change = led ?? changes.at(-1)
  return change === undefined ? state : { ...state, since: new Date(timeOf(change)).toISOString() }
}

function changeView(
  { value, entry, at, partition }: ChangeWithEntry,
  runId: string | null,
): RowLife['changes'][number] {
  const { op, run, before, beforeState, after, settledState, muted } = value
  return {
    at: new Date(at).toISOString(),
    run: runId,
    runNumber: run,
    partition,
    op,
    before: shownRow(before),
    beforeState,
    after: shownRow(after),
    settledState,
    muted: muted !== null,
    failed: entry === null ? null : entryView(entry),
    ...sourceOf(value),
  }
}

/** A row of a comparison comes from no entry of the log. */
function sourceOf({ streamed = null }: Change): Pick<RowLife['changes'][number], 'source'> {
  if (streamed === null || streamed.order === '') return {}
  return { source: { committedAt: isoTime(streamed.committedAt), position: streamed.order } }
}

function parsedObject(text: string): { [name: string]: unknown } | null {
  const value: unknown = JSON.parse(text)
  return typeof value === 'object' && value !== null ? { ...value } : null
}
