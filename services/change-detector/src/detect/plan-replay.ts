/**
 * Plans what a replay sends (PROTOCOL.md §12): the recorded requests in its scope, and the rows that have to
 * become uncertain before. A request is left out if the state could not say afterwards what may be at the
 * destination.
 */
import type { Request } from '@sluice/contracts/records'
import type { CountsByOp, Op, ReplayScope } from '@sluice/contracts/state'
import type { Row } from '@sluice/contracts/values'
import type { DeliveredState, ReplayedRow } from '@sluice/delivered-state/port'
import { addCounts } from '@sluice/domain/counts'
import {
  OffsetSet,
  RecordedRequests,
  type RecordedDeps,
  type RecordedPlace,
  type RecordedRequest,
  type RecordedSync,
} from '@sluice/topics/recorded-requests'
import { isMarking, lastOwnRecord, readOwned } from '@sluice/topics/owned-reader'
import { at, syncTopics } from '@sluice/topics/topics'
import type { NewReplay } from '../publish/publish-changes.ts'
import { REPLAY_PARTITION } from '../publish/replayed-requests.ts'

export interface ReplayPlan {
  /** Rows of the requests, by trigger. */
  readonly counts: CountsByOp
  readonly requests: number
  readonly notices: readonly string[]
  /** The requests, in the order in which they are sent. */
  recorded(signal: AbortSignal): AsyncIterable<readonly NewReplay[]>
}

interface PlanOptions extends RecordedDeps {
  readonly recorded: RecordedSync
  readonly scope: ReplayScope
  /** Offset of the command that asked for the replay. A replay that was interrupted had the same command. */
  readonly command: number
  readonly triggers: ReadonlySet<Op>
  /** The state, up to date. The plan makes the rows of its requests uncertain in it. */
  readonly state: DeliveredState
  readonly signal: AbortSignal
}

/** Finds the requests, and gives their rows to the state. Rejects as log and state do. */
export async function planReplay(options: PlanOptions): Promise<ReplayPlan> {
  const { recorded: sync, scope, command, triggers, state, signal } = options
  const chosen = await RecordedRequests.find(options, sync, scope, { signal })
  const after = await lastReplayed(options)
  const leftOut = new LeftOut()
  const why = { trigger: 0, row: 0 }
  let counts: CountsByOp = {}
  let requests = 0
  for await (const batch of chosen.requests({ after }, signal)) {
    const believed = await state.believed([...new Set(batch.flatMap(({ request }) => keysOf(request)))])
    const rows: ReplayedRow[] = []
    for (const recorded of batch) {
      const { trigger } = recorded.request
      const own = triggers.has(trigger) ? await rowsOf(options, recorded, believed) : null
      if (own === null) {
        why[triggers.has(trigger) ? 'row' : 'trigger'] += 1
        leftOut.add(recorded)
        continue
      }
      rows.push(...own)
      requests += 1
      counts = addCounts(counts, { [trigger]: { ...NONE, detected: own.length } })
    }
    await state.takeReplayed(rows)
  }
  return {
    ...{ counts: withTriggers(counts, triggers), requests },
    notices: noticesOf({ requests, trimmed: chosen.trimmed, ...why }),
    async *recorded(until) {
      for await (const batch of chosen.requests({ after }, until)) {
        yield batch.flatMap(({ request, ...place }) =>
          leftOut.has(place) ? [] : [{ request, recordedAt: { ...place, command, seq: request.seq } }],
        )
      }
    },
  }
}

const NONE = { detected: 0, delivered: 0, rejected: 0, unknown: 0, unsent: 0, requests: 0, attempts: 0 }

function withTriggers(counts: CountsByOp, triggers: ReadonlySet<Op>): CountsByOp {
  return addCounts(Object.fromEntries([...triggers].map(op => [op, NONE])), counts)
}

function keysOf({ rows }: Request): readonly string[] {
  return rows.map(({ key }) => key)
}

/** The requests that are not sent again. The requests of a partition come with rising offsets. */
class LeftOut {
  readonly #byPartition = new Map<number, OffsetSet>()

  add({ partition, offset }: RecordedPlace): void {
    const offsets = this.#byPartition.get(partition) ?? new OffsetSet(offset)
    this.#byPartition.set(partition, offsets)
    offsets.add(offset)
  }

  has({ partition, offset }: RecordedPlace): boolean {
    return this.#byPartition.get(partition)?.has(offset) === true
  }
}

/**
 * Returns the place of the last request that an interrupted run published for the same command. All that the
 * interrupted run published is delivered by now. Null for a replay that begins at the start.
 */
async function lastReplayed({
  log,
  io,
  prefix,
  recorded: { sync, incarnation },
  command,
  signal,
}: PlanOptions): Promise<RecordedPlace | null> {
  const target = at(syncTopics(prefix, sync).requests, REPLAY_PARTITION)
  const reading = { log, io, target, incarnation, stage: 'requests', signal } as const
  const last = await lastOwnRecord({ ...reading, matches: record => !isMarking(record) })
  const replayOf = last?.record.name === 'sluice.Request' ? (last.record.value.replayOf ?? null) : null
  return replayOf?.command === command ? replayOf : null
}

/** Returns the rows that become uncertain with a request. Returns null if a row is not known any more. */
async function rowsOf(
  options: PlanOptions,
  recorded: RecordedRequest,
  believed: ReadonlySet<string>,
): Promise<readonly ReplayedRow[] | null> {
  const { rows, trigger: op } = recorded.request
  const isNeeded = op !== 'removed' && rows.some(({ key }) => !believed.has(key))
  const known = isNeeded ? await recordedRows(options, recorded) : null
  const found: ReplayedRow[] = []
  for (const { key } of rows) {
    const row = op === 'removed' || believed.has(key) ? null : (known?.get(key) ?? null)
    // Without its values, no later run could remove the row.
    if (row === null && op !== 'removed' && !believed.has(key)) return null
    found.push({ key, op, row })
  }
  return found
}

/** Returns the rows, by key, from the changes that the request was made of. */
async function recordedRows(
  { log, io, prefix, recorded: { sync, incarnation }, signal }: PlanOptions,
  { partition, request }: RecordedRequest,
): Promise<ReadonlyMap<string, Row>> {
  const target = at(syncTopics(prefix, sync).changes, partition)
  const reading = { log, io, target, incarnation, stage: 'changes', signal } as const
  const found = new Map<string, Row>()
  const { changesStart: from, changesEnd: to } = request
  for await (const { records } of readOwned({ ...reading, from, to }))
    for (const { record } of records) {
      if (record?.name !== 'sluice.Change') continue
      const { run, key, after } = record.value
      if (run === request.run && after !== null) found.set(key, after)
    }
  return found
}

/** Says how many requests were left out, by reason. `requests` are those that are sent. */
function noticesOf({
  requests,
  trimmed,
  trigger,
  row,
}: {
  readonly requests: number
  readonly trimmed: number
  readonly trigger: number
  readonly row: number
}): readonly string[] {
  const notices: string[] = []
  if (requests === 0) notices.push('no request was sent again: none that is recorded is as asked for')
  if (trimmed > 0) notices.push(`${counted(trimmed)} left out, since what was sent is not recorded any more`)
  if (row > 0)
    notices.push(
      `${counted(row)} left out, since a row is gone and not recorded any more: the next run could not remove it`,
    )
  if (trigger > 0) notices.push(`${counted(trigger)} left out, since the sync has no such trigger any more`)
  return notices
}

function counted(requests: number): string {
  return requests === 1 ? '1 request was' : `${requests} requests were`
}
