/**
 * The view of the topic `runs`: the events of each sync's runs, and the reports of their partitions. Every
 * service has a view, which tails the topic. So it learns without polling which runs need work or are
 * cancelled.
 */
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { isEnded } from '@sluice/domain/run-status'
import type { PartitionEnd, PartitionReport, RunEvent } from '@sluice/contracts/records'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import type { MessageLog } from '@sluice/message-log/port'
import { DeliveredRows } from './delivered-rows.ts'
import { EndsOfRuns } from './ends-of-runs.ts'
import { implausibleEvent, implausibleReport } from './implausible.ts'
import { decodeShared, type Placed } from '@sluice/topics/owned-reader'
import { RecentMap } from '@sluice/flow/recent-map'
import type { RecordIo } from '@sluice/topics/record-io'
import {
  at,
  homePartition,
  isMarkerKey,
  keyText,
  runOfKey,
  SHARED_PARTITIONS,
  sharedTopics,
  syncOfKeyOnRuns,
} from '@sluice/topics/topics'

/**
 * The view keeps up to this many ended runs of a sync that had begun, and as many that had not. Older ones
 * stay in the topic for some time.
 */
const MAX_ENDED_RUNS = 50
/** The view waits for this time until the schema of one of our records comes. */
const SCHEMA_WAIT_MS = 60_000
/**
 * After it has waited in vain, the view waits for no other schema for this time. There may be any number of
 * records whose keys look like ours, and the runs of other syncs come behind them.
 */
const NO_WAIT_MS = 600_000
const PAUSE_AFTER_FAILURE_MS = 1_000
/** Each partition is read ahead by this much. Its records are small, and every process has a view. */
const READ_AHEAD_BYTES = 512 * 1024
/** The view remembers up to this many incarnations that a reset ended, to skip their late records. */
const MAX_ENDED_INCARNATIONS = 10_000
/** The view remembers a run of each of up to this many earlier incarnations of a sync. */
const MAX_INCARNATIONS = 1_000
/** More syncs than any server has. Every process keeps what it knows of each. */
const MAX_SYNCS = 20_000
/**
 * A sync may have up to this many runs that are queued or under way. Their events, of all syncs together, may
 * have up to `MAX_OPEN_BYTES`.
 */
const MAX_OPEN_RUNS = 5_000
const MAX_OPEN_BYTES = 64_000_000
/**
 * The view remembers up to this many keys of a sync with unreadable records. All further keys share one
 * entry, which no later record replaces.
 */
const MAX_UNREADABLE = 100
const MORE_UNREADABLE = ''

export interface SyncRuns {
  readonly sync: string
  readonly incarnation: string
  /** By run id, oldest first. */
  readonly events: ReadonlyMap<string, RunEvent>
  /** The latest report of each partition. */
  readonly reports: ReadonlyMap<number, PartitionReport>
  /** The marker of the owner that wrote the last event. Events with smaller markers are skipped. */
  readonly marker: number
}

interface MutableSyncRuns extends Omit<SyncRuns, 'marker'> {
  /** Ids of ended runs, in the order of their ends: those that had begun, and those that had not. */
  readonly ended: { readonly begun: Set<string>; readonly unbegun: Set<string> }
  readonly ends: EndsOfRuns
  readonly events: Map<string, RunEvent>
  readonly reports: Map<number, PartitionReport>
  /**
   * The id of a run of each earlier incarnation. As long as the topic has these runs, every reader knows the
   * order of the incarnations.
   */
  readonly before: Set<string>
  /** The sizes of the events of runs that have not ended, by id. */
  readonly open: Map<string, number>
  marker: number
}

export interface RunsViewDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  /**
   * Called with each transient failure. The view then goes on as soon as it can. Without this function a
   * transient failure ends the view and rejects every wait.
   */
  readonly onTransientFailure?: (error: unknown) => void
}

interface UnreadableRecord {
  readonly partition: number
  readonly offset: number
  readonly error: Error
}

export class RunsView implements AsyncDisposable {
  readonly #log: MessageLog
  readonly #io: RecordIo
  readonly #topic: string
  readonly #onTransientFailure: ((error: unknown) => void) | null
  readonly #syncs = new Map<string, MutableSyncRuns>()
  /** Incarnations that a reset has ended. Their late records are skipped. */
  readonly #ended = new RecentMap<string, true>({ limit: MAX_ENDED_INCARNATIONS })
  readonly #positions = new Map<number, number>()
  readonly #stop = new AbortController()
  #tails: Promise<void> = Promise.resolve()
  #failure: unknown = null
  /** The reasons why records cannot be read, by sync and key. A later record of a key replaces its reason. */
  readonly #unreadable = new Map<string, Map<string, string>>()
  /** The reasons why bytes of a partition cannot be read that may have been records of any sync. */
  readonly #damaged = new Map<number, string>()
  /**
   * Until this time (ms of `performance.now`) the view waits for no schema, since it has waited for one in
   * vain.
   */
  #patientFromMs = 0
  /** The record at which a partition's tail waits for a schema, and since when (ms of `performance.now`). */
  readonly #waitsAt = new Map<number, { readonly offset: number; readonly sinceMs: number }>()
  /** By sync, over all its incarnations. */
  readonly #delivered = new Map<string, DeliveredRows>()
  /** The bytes of events of runs that have not ended, of all syncs. */
  #openBytes = 0
  /** True once a sync was left out, since there are too many. */
  #isOverfull = false
  /** Notifies after each batch that the view has taken. */
  readonly changes = new Notifier()

  private constructor(deps: RunsViewDeps) {
    this.#log = deps.log
    this.#io = deps.io
    this.#topic = sharedTopics(deps.prefix).runs
    this.#onTransientFailure = deps.onTransientFailure ?? null
  }

  /** Starts tailing from the beginning of the topic; `caughtUp` waits until a partition is complete. */
  static async open(deps: RunsViewDeps, options: { signal: AbortSignal }): Promise<RunsView> {
    const view = new RunsView(deps)
    const partitions = Array.from({ length: SHARED_PARTITIONS }, (_, partition) => partition)
    const starts = await Promise.all(
      partitions.map(partition => deps.log.offsets(at(view.#topic, partition), options)),
    )
    view.#tails = Promise.all(
      partitions.map(partition => view.#tail(partition, starts[partition]?.low ?? 0)),
    ).then(() => undefined)
    view.#tails.catch((error: unknown) => {
      view.#failure = error
      view.changes.notify()
    })
    return view
  }

  /** Returns what is known of a sync's runs; undefined if it never had one. */
  of(sync: string): SyncRuns | undefined {
    return this.#syncs.get(sync)
  }

  /**
   * Returns the offsets in `requests` and `attempts` at which the last run before `at` (ms since 1970) ended,
   * to within an hour; null if there is none.
   */
  endsOf(sync: string, at: number): readonly PartitionEnd[] | null {
    return this.#syncs.get(sync)?.ends.endedBy(at) ?? null
  }

  /** Returns where the sync's runs ended, the oldest first: one run an hour, and the last one. */
  allEndsOf(sync: string): readonly (readonly PartitionEnd[])[] {
    return this.#syncs.get(sync)?.ends.all ?? []
  }

  /** Returns the rows that runs delivered which ended at `at` (ms since 1970) or later, within a day. */
  deliveredSince(sync: string, at: number): ReturnType<DeliveredRows['since']> {
    return this.#delivered.get(sync)?.since(at) ?? { rows: 0, isWhole: true }
  }

  /** True for a run that has to stay in the topic, since the view needs its event. */
  keeps(sync: string, runId: string): boolean {
    const runs = this.#syncs.get(sync)
    if (runs === undefined) return false
    return runs.events.has(runId) || runs.before.has(runId) || runs.ends.has(runId)
  }

  /**
   * Throws `corrupt` if a record of this sync's runs cannot be read. The faults of the sync's last run may be
   * in that record alone, so no run of the sync may go on without it.
   */
  assertReadable(sync: string): void {
    const [unreadable] = this.#unreadable.get(sync)?.values() ?? []
    const isPassedOver = this.#isOverfull && !this.#syncs.has(sync)
    const passedOver = isPassedOver ? `It has records of more than ${MAX_SYNCS} syncs before.` : undefined
    const found = unreadable ?? this.#damaged.get(homePartition(sync)) ?? passedOver
    if (found === undefined) return
    throw new SluiceError(
      'corrupt',
      `The records of the topic ${this.#topic} about runs of ${sync} cannot be read: ${found} If its schema was lost, restore the ` +
        `schema and restart the services. Otherwise \`sluice reset ${sync}\` lets the sync begin again, and forgets what was delivered.`,
    )
  }

  all(): Iterable<SyncRuns> {
    return this.#syncs.values()
  }

  /**
   * Waits until the view holds all that was in this partition of `runs` when this was called. Throws if
   * tailing has failed.
   */
  async caughtUp(partition: number, options: { signal: AbortSignal }): Promise<void> {
    const { end } = await this.#log.offsets(at(this.#topic, partition), options)
    await this.until(() => (this.#positions.get(partition) ?? -1) >= end, options)
  }

  /**
   * Waits until the condition holds. It looks again whenever the view has changed. Throws if tailing has
   * failed.
   */
  until(condition: () => boolean, options: { signal: AbortSignal }): Promise<void> {
    const holds = (): boolean => {
      if (this.#failure !== null) throw this.#failure
      return condition()
    }
    return this.changes.until(holds, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#tails.catch(() => undefined)
  }

  async #tail(partition: number, low: number): Promise<void> {
    const { signal } = this.#stop
    this.#positions.set(partition, low)
    for (;;) {
      try {
        await this.#tailOn(partition, this.#positions.get(partition) ?? low)
        return
      } catch (error) {
        const mayPass = isSluiceError(error) && error.retryable && !signal.aborted
        if (!mayPass || this.#onTransientFailure === null) throw error
        this.#onTransientFailure(error)
      }
      await sleep(PAUSE_AFTER_FAILURE_MS, { signal })
    }
  }

  async #tailOn(partition: number, from: number): Promise<void> {
    const { signal } = this.#stop
    const options = { signal, from, bufferBytes: READ_AHEAD_BYTES }
    const target = at(this.#topic, partition)
    for await (const batch of this.#log.read(target, options)) {
      for (const placed of await decodeShared(this.#io, { target, records: batch.records }, signal))
        this.#take(placed, partition)
      this.#positions.set(partition, batch.nextOffset)
      this.changes.notify()
    }
  }

  #take({ key, record, offset, bytes, torn: error, isDamaged }: Placed, partition: number): void {
    const sync = isMarkerKey(key) ? null : syncOfKeyOnRuns(key)
    if (error !== undefined) {
      if (sync !== null) this.#takeUnreadable(sync, keyText(key), { partition, offset, error })
      // Records of any sync may be among these bytes.
      else if (isDamaged === true) this.#damaged.set(partition, error.message)
      return
    }
    const fault = this.#faultOf(record, { keySync: sync, bytes })
    if (fault !== null) {
      this.#io.foreign.take(at(this.#topic, partition), offset, fault)
      // Compaction may have dropped an event of ours for this record, which has the same key.
      if (sync !== null) this.#noteUnreadable(sync, keyText(key), fault)
      return
    }
    if (sync !== null) this.#unreadable.get(sync)?.delete(keyText(key))
    if (record === null && !isMarkerKey(key)) this.#forget(runOfKey(key))
    if (record?.name === 'sluice.RunEvent') this.#takeEvent(record.value, bytes)
    if (record?.name === 'sluice.PartitionReport') this.#takeReport(record.value)
  }

  /** Returns the reason to ignore a record; null if the record is plausible. */
  #faultOf(
    record: Placed['record'],
    facts: { readonly keySync: string | null; readonly bytes: number },
  ): SluiceError | null {
    if (record?.name === 'sluice.PartitionReport')
      return implausibleReport(record.value, facts) ?? this.#noRoomFor(record.value.sync)
    if (record?.name !== 'sluice.RunEvent') return null
    const { value } = record
    const fault = implausibleEvent(value, facts) ?? this.#noRoomFor(value.sync)
    const runs = this.#syncs.get(value.sync)
    if (fault !== null || isEnded(value.status) || runs?.open.has(value.runId) === true) return fault
    const isFull = (runs?.open.size ?? 0) >= MAX_OPEN_RUNS || this.#openBytes + facts.bytes > MAX_OPEN_BYTES
    if (!isFull) return null
    return new SluiceError('corrupt', `More runs of ${value.sync} are open than there may be.`)
  }

  #noRoomFor(sync: string): SluiceError | null {
    if (this.#syncs.size < MAX_SYNCS || this.#syncs.has(sync)) return null
    this.#isOverfull = true
    return new SluiceError('corrupt', `The topic ${this.#topic} has records of more than ${MAX_SYNCS} syncs.`)
  }

  /**
   * Takes a record whose schema is missing. It may be readable again soon, when the registry has restarted.
   * So the tail waits at it for a while, and then skips it.
   */
  #takeUnreadable(sync: string, key: string, { partition, offset, error }: UnreadableRecord): void {
    const waits = this.#waitsAt.get(partition)
    const sinceMs = waits?.offset === offset ? waits.sinceMs : performance.now()
    this.#waitsAt.set(partition, { offset, sinceMs })
    const now = performance.now()
    const isPatient = this.#onTransientFailure !== null && now >= this.#patientFromMs
    if (isPatient && now - sinceMs >= SCHEMA_WAIT_MS) this.#patientFromMs = now + NO_WAIT_MS
    else if (isPatient) throw new SluiceError('corrupt', error.message, { cause: error, retryable: true })
    this.#noteUnreadable(sync, key, error)
  }

  #noteUnreadable(sync: string, key: string, error: Error): void {
    const keys = this.#unreadable.get(sync) ?? new Map<string, string>()
    if (keys.size === 0 && this.#unreadable.size >= MAX_SYNCS && !this.#syncs.has(sync)) {
      // There is no room to note the record for its sync, whose later records may be readable. So no sync of
      // the partition is readable.
      this.#damaged.set(homePartition(sync), error.message)
      return
    }
    const noted = keys.size < MAX_UNREADABLE || keys.has(key) ? key : MORE_UNREADABLE
    this.#unreadable.set(sync, keys.set(noted, error.message))
  }

  #takeEvent(event: RunEvent, bytes: number): void {
    const runs = this.#runsOf(event.sync, event.incarnation, event)
    if (runs === null) return
    if (event.marker < runs.marker) return
    runs.marker = event.marker
    runs.events.set(event.runId, event)
    const { begun, unbegun } = runs.ended
    for (const ended of [begun, unbegun]) ended.delete(event.runId)
    this.#close(runs, event.runId)
    if (!isEnded(event.status)) {
      runs.open.set(event.runId, bytes)
      this.#openBytes += bytes
      return
    }
    const delivered = this.#delivered.get(event.sync) ?? new DeliveredRows()
    this.#delivered.set(event.sync, delivered)
    delivered.add(event)
    if (event.ends.length > 0) runs.ends.add(event.runId, event.ends, event.endedAt ?? 0)
    // Refused runs never began. Many of them must not push out a run whose client still waits for its end.
    const alike = event.run === null ? unbegun : begun
    alike.add(event.runId)
    for (const old of alike) {
      if (alike.size <= MAX_ENDED_RUNS) break
      alike.delete(old)
      runs.events.delete(old)
    }
  }

  #forget({ sync, runId }: { readonly sync: string; readonly runId: string }): void {
    const runs = this.#syncs.get(sync)
    if (runs === undefined) return
    const { begun, unbegun } = runs.ended
    this.#close(runs, runId)
    for (const known of [runs.events, begun, unbegun, runs.before]) known.delete(runId)
  }

  #close({ open }: MutableSyncRuns, runId: string): void {
    this.#openBytes -= open.get(runId) ?? 0
    open.delete(runId)
  }

  #takeReport(report: PartitionReport): void {
    const runs = this.#runsOf(report.sync, report.incarnation)
    if (runs === null) return
    const last = runs.reports.get(report.partition)
    // A sync has one run at a time, so the report of an earlier run is of no use any more.
    if (last !== undefined && (report.marker < last.marker || report.run < last.run)) return
    runs.reports.set(report.partition, report)
  }

  /**
   * Returns the runs of an incarnation; null for one that has ended. A record of another incarnation starts
   * the sync from nothing, since a reset forgets its past. The runs of a deleted sync have no incarnation,
   * and a sync may be deleted more than once. `isNewReset` tells a new deletion from late records of an
   * earlier one.
   */
  #runsOf(sync: string, incarnation: string, event?: RunEvent): MutableSyncRuns | null {
    const known = this.#syncs.get(sync)
    if (known?.incarnation === incarnation) return known
    const isDeleted = incarnation === '' && event !== undefined && isNewReset(event, known)
    if (this.#ended.get(`${sync}.${incarnation}`) === true && !isDeleted) return null
    if (known !== undefined) this.#ended.set(`${sync}.${known.incarnation}`, true)
    // After a reset, unreadable records of the past do not matter.
    if (known !== undefined) this.#unreadable.delete(sync)
    for (const bytes of known?.open.values() ?? []) this.#openBytes -= bytes
    const ended = known === undefined ? [] : [...known.ended.unbegun, ...known.ended.begun]
    const runs: MutableSyncRuns = {
      sync,
      incarnation,
      ended: { begun: new Set(), unbegun: new Set() },
      ends: new EndsOfRuns(),
      events: new Map(),
      reports: new Map(),
      before: withNewest(known?.before ?? new Set(), ended.at(-1)),
      open: new Map(),
      marker: -1,
    }
    this.#syncs.set(sync, runs)
    return runs
  }
}

/**
 * True for the end of a reset that came after all that is known of the sync. Compaction may have dropped the
 * earlier event of the same reset.
 */
function isNewReset({ cause, runId, command }: RunEvent, known: MutableSyncRuns | undefined): boolean {
  if (known === undefined || cause !== 'reset') return false
  if (known.events.get(runId)?.cause === 'reset') return true
  return [...known.events.values()].every(event => event.command < command)
}

/**
 * Adds a run of the last incarnation to the runs of earlier incarnations, and drops the oldest if there are
 * too many.
 */
function withNewest(before: Set<string>, newest: string | undefined): Set<string> {
  if (newest !== undefined) before.add(newest)
  const [oldest] = before
  if (before.size > MAX_INCARNATIONS && oldest !== undefined) before.delete(oldest)
  return before
}

/** Returns the run of a sync that renderer and delivery are to work on; null if there is none. */
export function runAtWork(runs: SyncRuns): RunEvent | null {
  for (const event of runs.events.values()) if (event.status === 'running') return event
  return null
}

/**
 * True for a run, by its number in this incarnation, that is known to have ended. It may have ended before a
 * stage reached its end, since the sync was suspended there (PROTOCOL.md §11). The stage skips the rest of
 * the run. The next run takes all of it as unknown, and sends it again.
 */
export function isOver(runs: SyncRuns | undefined, incarnation: string, run: number): boolean {
  if (runs?.incarnation !== incarnation) return false
  let isFollowed = false
  for (const event of runs.events.values()) {
    if (event.run === run) return isEnded(event.status)
    if ((event.run ?? 0) > run) isFollowed = true
  }
  // The oldest runs are not remembered. A sync has one run at a time, so a lower number has ended.
  return isFollowed
}
