/**
 * The change-detector service. The detectors share the partitions of `commands`, and each runs the syncs that
 * live in its own. A command's offset is committed once its effect is acknowledged (PROTOCOL.md §1).
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Command, Fired, RunEvent } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { endingAlso, endingOf, type Ends } from '@sluice/flow/ends'
import { OffsetWatermark } from '@sluice/flow/offset-watermark'
import { Slots } from '@sluice/flow/slots'
import type { Locks } from '@sluice/partition/port'
import { decodeEach, decodeShared, type Placed } from '@sluice/topics/owned-reader'
import type { LogRecord } from '@sluice/message-log/port'
import { appendRunEvent } from '@sluice/runs/run-event-record'
import { hintedStart } from '@sluice/partition/position-hints'
import { ownPartitions, type Readiness, type Worker } from '@sluice/partition/own-partitions'
import { readResources } from '@sluice/resources/stored-resources'
import { detectorGroup, homePartition, sharedTopics, textKey, isRunId, keyText } from '@sluice/topics/topics'
import { NAME_PATTERN } from '@sluice/contracts/resources'
import { queuedRun } from '@sluice/runs/machine/run-events'
import type { RunnerDeps } from './sync/runner-deps.ts'
import { fireSchedules } from './schedule/fire-schedules.ts'
import { SyncSchedules } from './schedule/sync-schedules.ts'
import { SyncRunner } from './sync/sync-runner.ts'

export interface DetectorDeps extends RunnerDeps {
  /** The syncs that this detector runs; absent: all of them. The set may grow. */
  readonly only?: ReadonlySet<string>
  readonly locks: Locks
  readonly readiness?: Readiness | undefined
  /** True if schedules start runs. A command that asks for one run starts no others. */
  readonly runsSchedules?: boolean
}

type PartitionDeps = DetectorDeps & { readonly schedules: SyncSchedules | null }

/**
 * A process compares, restores or publishes up to this many syncs at once. Each has a DuckDB of its own,
 * which takes up to its share of the memory.
 */
const MAX_DETECTIONS = 3
/**
 * After this time a detection gives up its slot: its source is slow, and must not delay other syncs (R12).
 */
const OVERDUE_MS = 10_000

/** A process answers up to this many unsigned commands per partition, since anybody may write them. */
const MAX_REFUSED = 1_000

/** Resolves once drained. Rejects with a failure that no takeover mends. */
export async function runChangeDetector(deps: DetectorDeps, ends: Ends): Promise<void> {
  const { log, locks, readiness, prefix, logger } = deps
  const detections = new Slots({ most: MAX_DETECTIONS, overdueMs: OVERDUE_MS })
  const runsAfterDeaths = new Slots({ most: 1, overdueMs: OVERDUE_MS })
  const topic = sharedTopics(prefix).commands
  const onTransientFailure = (err: unknown): void => logger.warn({ err }, 'the schedules are read again')
  const schedules = deps.runsSchedules === true ? new SyncSchedules(deps, onTransientFailure) : null
  const shared = { detections, runsAfterDeaths, schedules, edits: schedules?.changes }
  const stop = new AbortController()
  let failure: unknown = null
  const following = schedules?.follow(endingOf(ends, stop.signal)).catch((error: unknown) => {
    failure = error
    stop.abort(error)
  })
  try {
    await ownPartitions({
      log,
      locks,
      readiness,
      group: detectorGroup(prefix),
      topic,
      lockName: ({ partition }) => `changes/${partition}`,
      work: worker => new HomePartition({ ...deps, ...shared }, worker).work(),
      onTransientFailure: (target, error) =>
        logger.warn({ partition: target?.partition, err: error }, 'detection starts again'),
      ...endingAlso(ends, stop.signal),
    })
  } finally {
    stop.abort(new SluiceError('aborted', 'the detector has ended'))
    await following
  }
  if (failure !== null) throw failure
}

/**
 * A detector for some syncs remembers up to this many commands to other syncs. It leaves later ones in the
 * topic, for the detector that runs their sync.
 */
const MAX_PASSED_OVER = 1_000

interface PassedOver {
  readonly command: Command
  readonly offset: number
}

/** One partition of `commands`, with the syncs that live there. */
class HomePartition {
  readonly #deps: PartitionDeps
  readonly #worker: Worker
  readonly #runners = new Map<string, SyncRunner>()
  readonly #failed = new AbortController()
  readonly #ends: Ends
  #watermark = new OffsetWatermark(0)
  #refused = 0
  #passedOver: PassedOver[] = []

  constructor(deps: PartitionDeps, worker: Worker) {
    this.#deps = deps
    this.#worker = worker
    this.#ends = endingAlso(worker, this.#failed.signal)
  }

  async work(): Promise<void> {
    const { log, prefix } = this.#deps
    const { target, drain, abort } = this.#worker
    const { drain: signal } = this.#ends
    try {
      const { from } = await hintedStart(log, { group: detectorGroup(prefix), target }, signal)
      this.#watermark = new OffsetWatermark(from)
      await this.#resumeOpenRuns()
      await this.#resumeDeletions()
      const firing = this.#fireSchedules().catch((error: unknown) => this.#give(error))
      await this.#follow(from)
      await firing
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      if (!drain.aborted) this.#failed.abort(new Error('the partition is given up'))
      await Promise.all([...this.#runners.values()].map(runner => runner.stopped()))
    }
    if (this.#failed.signal.aborted && !drain.aborted && !abort.aborted) throw this.#failed.signal.reason
  }

  async #fireSchedules(): Promise<void> {
    const { schedules, runs, now, stageMetrics, logger } = this.#deps
    if (schedules === null) return
    const { partition } = this.#worker.target
    const fire = (sync: string, fired: Fired): void => this.#runnerOf(sync).fire(fired)
    await fireSchedules({ schedules, runs, partition, now, fire, stageMetrics, logger }, this.#ends.drain)
  }

  async #follow(from: number): Promise<void> {
    const { log, io } = this.#deps
    const { target } = this.#worker
    const { drain: signal } = this.#ends
    for await (const { records, nextOffset } of log.read(target, { signal, from })) {
      for (const placed of await decodeShared(io, { target, records }, signal)) {
        const { offset, record, torn } = placed
        // A faulty command can never be carried out. It must not stop the commands behind it.
        const fault = torn ?? commandFault(placed, target.partition)
        if (fault !== null) io.foreign.take(target, offset, fault)
        if (torn !== undefined)
          await this.#refuse(
            torn,
            records.find(each => each.offset === offset),
          )
        if (record?.name !== 'sluice.Command' || fault !== null) continue
        this.#watermark.start(offset)
        // The offset of a command that is skipped is never committed. So a detector that runs its sync still
        // finds the command.
        if (this.#isMine(record.value.sync)) this.#takeWithEarlier(record.value, offset)
        else this.#passOver(record.value, offset)
      }
      this.#watermark.skipTo(nextOffset)
    }
  }

  /**
   * Writes a failed run for a command without the right signature, so that its client does not wait for ever.
   * An unsigned command may name anything as its sync, so it is answered only if that sync has run before.
   */
  async #refuse(fault: SluiceError, stored: LogRecord | undefined): Promise<void> {
    const { io, runs, log, prefix, now } = this.#deps
    const { drain: signal } = this.#ends
    if (stored === undefined || io.distrust(this.#worker.target.topic, stored) === null) return
    const [placed] = await decodeEach(io, [stored], signal)
    if (
      placed?.record?.name !== 'sluice.Command' ||
      commandFault(placed, this.#worker.target.partition) !== null
    )
      return
    const command = placed.record.value
    const known = runs.of(command.sync)
    const isNew = command.kind === 'run' || command.kind === 'reset'
    if (known === undefined || known.events.has(command.id) || !isNew || this.#refused >= MAX_REFUSED) return
    this.#refused += 1
    const { incarnation, marker } = known
    const event = refusedRun(command, { fault, incarnation, marker, at: now() })
    await appendRunEvent({ log, io, prefix }, event, { signal })
  }

  /**
   * Remembers a command to another sync: this detector may run that sync later, with its commands in order.
   */
  #passOver(command: Command, offset: number): void {
    if (this.#passedOver.length < MAX_PASSED_OVER) this.#passedOver.push({ command, offset })
  }

  #takeWithEarlier(command: Command, offset: number): void {
    const isEarlier = (passed: PassedOver): boolean => passed.command.sync === command.sync
    const earlier = this.#passedOver.filter(isEarlier)
    if (earlier.length > 0) this.#passedOver = this.#passedOver.filter(each => !isEarlier(each))
    for (const each of earlier) void this.#take(each.command, each.offset)
    void this.#take(command, offset)
  }

  async #take(command: Command, offset: number): Promise<void> {
    try {
      await this.#runnerOf(command.sync).submit(command, offset)
      this.#watermark.finish(offset)
      await this.#commit()
      if (command.kind === 'reset' && command.run !== null) await this.#askAgain(command)
    } catch (error) {
      this.#give(error)
    }
  }

  /**
   * Commits the offset up to which commands are taken. Resolves with true if this process still has the
   * partition.
   */
  #commit(): Promise<boolean> {
    const { target, membership } = this.#worker
    return membership.commit(target, this.#watermark.position, { signal: this.#ends.drain })
  }

  /** Wakes the syncs whose runs an earlier detector left open. */
  async #resumeOpenRuns(): Promise<void> {
    const { runs } = this.#deps
    const { partition } = this.#worker.target
    await runs.caughtUp(partition, { signal: this.#ends.drain })
    for (const { sync, events } of runs.all()) {
      if (homePartition(sync) !== partition || !this.#isMine(sync)) continue
      if (hasOpenRun(events)) this.#runnerOf(sync).wake()
    }
  }

  /**
   * Asks once more for a reset that ends a deletion. The reset was refused, since a run had just begun, so
   * this first waits for the end of that run. No further run begins, since the sync is marked as deleted.
   */
  async #askAgain({ id, sync }: Command): Promise<void> {
    const { runs } = this.#deps
    const { drain: signal } = this.#ends
    await runs.caughtUp(this.#worker.target.partition, { signal })
    const known = runs.of(sync)?.events.get(id)
    if (known?.status !== 'failed' || known.errorCode !== 'usage') return
    await runs.until(() => !hasOpenRun(runs.of(sync)?.events ?? new Map()), { signal })
    await this.#resumeDeletions(sync)
  }

  /**
   * Asks for the resets that end deletions, of one sync or of all. If there are two such commands, the second
   * one finds no sync and does nothing.
   */
  async #resumeDeletions(only: string | null = null): Promise<void> {
    const { log, io, newRunId, now } = this.#deps
    const { target } = this.#worker
    const { drain: signal } = this.#ends
    const stored = await readResources(this.#deps, { signal })
    for (const { kind, name: sync, spec } of stored.values()) {
      if (kind !== 'deletion' || homePartition(sync) !== target.partition || !this.#isMine(sync)) continue
      if (only !== null && sync !== only) continue
      const run = stored.get(`incarnation/${sync}`)?.spec ?? spec
      const command = { id: newRunId(), kind: 'reset', sync, cause: 'reset', run } as const
      const value = io.encode('Command', { ...command, at: now(), scope: null })
      await log.append(target, [io.signed(target.topic, { key: textKey(sync), value })], { signal })
    }
  }

  #give(error: unknown): void {
    if (!this.#ends.drain.aborted) this.#failed.abort(error)
  }

  #runnerOf(sync: string): SyncRunner {
    const known = this.#runners.get(sync)
    if (known !== undefined) return known
    const runner = new SyncRunner(sync, this.#deps, {
      ends: this.#ends,
      isMember: () => this.#commit(),
      onFailure: error => this.#give(error),
      onUnknown: () => this.#runners.delete(sync),
    })
    this.#runners.set(sync, runner)
    return runner
  }

  #isMine(sync: string): boolean {
    return this.#deps.only?.has(sync) ?? true
  }
}

/** True if a run needs work. One that awaits approval needs none until somebody approves it. */
function hasOpenRun(events: ReadonlyMap<string, RunEvent>): boolean {
  return [...events.values()].some(({ status }) => !isEnded(status) && status !== 'held')
}

/**
 * Returns why Sluice cannot have written a record of `commands`; null for a valid one and for a tombstone.
 */
export function commandFault({ key, record }: Placed, partition: number): SluiceError | null {
  if (record === null) return null
  const fault = (why: string): SluiceError => new SluiceError('corrupt', `A record of commands ${why}.`)
  if (record.name !== 'sluice.Command') return fault(`is a ${record.name}`)
  const { sync, id } = record.value
  if (!NAME_PATTERN.test(sync)) return fault('names no sync')
  // The id becomes part of file names.
  if (!isRunId(id)) return fault('has an id that is no run id')
  if (keyText(key) !== sync || homePartition(sync) !== partition)
    return fault(`names the sync ${sync}, whose commands stand under another key or partition`)
  return null
}

/** Makes the event that fails the run of a command without the right signature. */
export function refusedRun(
  command: Command,
  options: {
    readonly fault: SluiceError
    readonly incarnation: string
    readonly marker: number
    readonly at: number
  },
): RunEvent {
  const { id: runId, sync, cause, scope, by } = command
  const { fault, incarnation, marker, at } = options
  const error =
    `${fault.message} The services carry out only commands that are signed with their key: ` +
    'run `sluice` with the same SLUICE_SIGNING_KEY.'
  // The event names no command. Otherwise the run's command would count as the last command that was taken.
  const run = queuedRun({ runId, cause, scope, command: -1, partitions: 0, at, by, fired: null })
  return { ...run, sync, incarnation, marker, status: 'failed', error, errorCode: 'config', endedAt: at }
}
