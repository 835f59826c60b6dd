/**
 * The change-detector service. The detectors share the partitions of `commands`, and each runs the syncs that
 * live in its own. A command's offset is committed once its effect is acknowledged (PROTOCOL.md §1).
 */
import type { Command } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { endingAlso, type Ends } from '@sluice/flow/ends'
import { OffsetWatermark } from '@sluice/flow/offset-watermark'
import { Slots } from '@sluice/flow/slots'
import type { Holds } from '@sluice/holds/port'
import { decodeEach } from '@sluice/topics/owned-reader'
import { ownPartitions, type Readiness, type Worker } from '@sluice/partition/own-partitions'
import { homePartition, sharedTopics } from '@sluice/topics/topics'
import type { RunnerDeps } from './sync/runner-deps.ts'
import { SyncRunner } from './sync/sync-runner.ts'

export interface DetectorDeps extends RunnerDeps {
  /** The syncs that are run; absent for all. */
  readonly only?: ReadonlySet<string>
  readonly holds: Holds
  readonly readiness?: Readiness | undefined
}

/**
 * Most syncs that are compared, restored or published at once. Each has a DuckDB of its own, which takes up
 * to its share of the memory.
 */
const DETECTIONS_AT_ONCE = 3
/** A source that takes longer mostly waits, and must not hold up other syncs (R12). */
const OVERDUE_MS = 10_000

/** Resolves once drained. Rejects with a failure that no takeover mends. */
export async function runChangeDetector(deps: DetectorDeps, ends: Ends): Promise<void> {
  const { log, holds, readiness, prefix, logger } = deps
  const detections = new Slots({ most: DETECTIONS_AT_ONCE, overdueMs: OVERDUE_MS })
  const topic = sharedTopics(prefix).commands
  await ownPartitions({
    log,
    holds,
    readiness,
    group: `${prefix}.detector`,
    topic,
    holdOf: ({ partition }) => `changes/${partition}`,
    work: worker => new HomePartition({ ...deps, detections }, worker).work(),
    onSetback: (target, error) =>
      logger.warn({ partition: target?.partition, err: error }, 'detection starts again'),
    ...ends,
  })
}

/** One partition of `commands`, with the syncs that live there. */
class HomePartition {
  readonly #deps: DetectorDeps
  readonly #worker: Worker
  readonly #runners = new Map<string, SyncRunner>()
  readonly #failed = new AbortController()
  readonly #ends: Ends
  #watermark = new OffsetWatermark(0)

  constructor(deps: DetectorDeps, worker: Worker) {
    this.#deps = deps
    this.#worker = worker
    this.#ends = endingAlso(worker, this.#failed.signal)
  }

  async work(): Promise<void> {
    const { log, prefix } = this.#deps
    const { target, drain, abort } = this.#worker
    const { drain: signal } = this.#ends
    try {
      const { low, end } = await log.offsets(target, { signal })
      const hints = await log.committed(`${prefix}.detector`, target.topic, { signal })
      const from = Math.min(Math.max(hints[target.partition] ?? low, low), end)
      this.#watermark = new OffsetWatermark(from)
      await this.#resumeOpenRuns()
      await this.#follow(from)
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      if (!drain.aborted) this.#failed.abort(new Error('the partition is given up'))
      await Promise.all([...this.#runners.values()].map(runner => runner.stopped()))
    }
    if (this.#failed.signal.aborted && !drain.aborted && !abort.aborted) throw this.#failed.signal.reason
  }

  async #follow(from: number): Promise<void> {
    const { log, io, logger } = this.#deps
    const { target } = this.#worker
    const { drain: signal } = this.#ends
    for await (const batch of log.read(target, { signal, from })) {
      for (const { offset, record, torn } of await decodeEach(io, batch.records, signal)) {
        // Nobody can carry out this command, and it must not stop the commands behind it.
        if (torn !== undefined)
          logger.error({ partition: target.partition, offset, err: torn }, 'a command cannot be read')
        if (record?.name !== 'sluice.Command') continue
        this.#watermark.start(offset)
        // A command that is not taken is never committed. So it stays for a detector that runs its sync.
        if (this.#isMine(record.value.sync)) void this.#take(record.value, offset)
      }
      this.#watermark.skipTo(batch.nextOffset)
    }
  }

  async #take(command: Command, offset: number): Promise<void> {
    try {
      await this.#runnerOf(command.sync).submit(command, offset)
      this.#watermark.finish(offset)
      await this.#commit()
    } catch (error) {
      this.#give(error)
    }
  }

  /** Commits how far commands are taken; true if this process still has the partition. */
  #commit(): Promise<boolean> {
    const { target, membership } = this.#worker
    return membership.commit(target, this.#watermark.position, { signal: this.#ends.drain })
  }

  /** Takes up runs that a detector before this one left open. */
  async #resumeOpenRuns(): Promise<void> {
    const { runs } = this.#deps
    const { partition } = this.#worker.target
    await runs.caughtUp(partition, { signal: this.#ends.drain })
    for (const { sync, events } of runs.all()) {
      if (homePartition(sync) !== partition || !this.#isMine(sync)) continue
      // A run that awaits approval needs no work until somebody approves it.
      const isOpen = [...events.values()].some(({ status }) => !isEnded(status) && status !== 'held')
      if (isOpen) this.#runnerOf(sync).wake()
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
