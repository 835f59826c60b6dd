/**
 * The change-detector service: shares the partitions of `commands` with its like, and runs the syncs that
 * live in its own. A command's offset is committed once its effect is acknowledged (PROTOCOL.md §1).
 */
import type { Command } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { OffsetWatermark } from '@sluice/flow/offset-watermark'
import { sleep } from '@sluice/flow/sleep'
import type { Holds } from '@sluice/holds/port'
import { decodeRecords } from '@sluice/stage/owned-reader'
import { isSetback, ownPartitions, type Readiness, type Worker } from '@sluice/stage/own-partitions'
import { homePartition, sharedTopics } from '@sluice/stage/topics'
import { SyncRunner, type RunnerDeps } from './sync-runner.ts'

const PAUSE_AFTER_SETBACK_MS = 500

export interface DetectorDeps extends RunnerDeps {
  /** Only these syncs are run; absent: all. */
  readonly only?: ReadonlySet<string>
  readonly holds: Holds
  readonly readiness?: Readiness
}

/** Resolves once drained; rejects if something fails that no takeover mends. */
export async function runChangeDetector(
  deps: DetectorDeps,
  ends: { readonly drain: AbortSignal; readonly signal: AbortSignal },
): Promise<void> {
  const { log, holds, readiness, prefix, logger } = deps
  const topic = sharedTopics(prefix).commands
  await ownPartitions({
    log,
    holds,
    readiness,
    group: `${prefix}.detector`,
    topic,
    holdOf: ({ partition }) => `changes/${partition}`,
    work: worker => new HomePartition(deps, worker).work(),
    onSetback: (target, error) =>
      logger.warn({ partition: target?.partition, err: error }, 'detection starts anew'),
    ...ends,
  })
}

/** One partition of `commands`, with the syncs that live there. */
class HomePartition {
  readonly #deps: DetectorDeps
  readonly #worker: Worker
  readonly #runners = new Map<string, { readonly runner: SyncRunner; done: Promise<void> | null }>()
  readonly #failed = new AbortController()
  readonly #stopping: AbortSignal
  readonly #publishing: AbortSignal

  constructor(deps: DetectorDeps, worker: Worker) {
    this.#deps = deps
    this.#worker = worker
    this.#publishing = AbortSignal.any([worker.signal, this.#failed.signal])
    this.#stopping = AbortSignal.any([worker.drain, this.#publishing])
  }

  async work(): Promise<void> {
    const { log, prefix } = this.#deps
    const { target } = this.#worker
    const signal = this.#stopping
    try {
      const { low, end } = await log.offsets(target, { signal })
      const hints = await log.committed(`${prefix}.detector`, target.topic, { signal })
      const from = Math.min(Math.max(hints[target.partition] ?? low, low), end)
      await this.#resumeOpenRuns()
      await this.#follow(from)
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      if (!this.#worker.drain.aborted) this.#failed.abort(new Error('the partition is given up'))
      await Promise.all([...this.#runners.values()].map(({ done }) => done ?? Promise.resolve()))
    }
    const { drain, signal: abort } = this.#worker
    if (this.#failed.signal.aborted && !drain.aborted && !abort.aborted) throw this.#failed.signal.reason
  }

  async #follow(from: number): Promise<void> {
    const { log, io } = this.#deps
    const { target } = this.#worker
    const signal = this.#stopping
    const watermark = new OffsetWatermark(from)
    for await (const batch of log.read(target, { signal, from })) {
      const placed = await decodeRecords(io, batch.records, signal)
      for (const { offset, record } of placed) {
        if (record?.name !== 'sluice.Command') continue
        watermark.start(offset)
        // What is not accepted is never committed, and so stays for a detector that runs that sync.
        if (this.#isMine(record.value.sync)) void this.#accept(record.value, offset, watermark)
      }
      watermark.skipTo(batch.nextOffset)
    }
  }

  async #accept(command: Command, offset: number, watermark: OffsetWatermark): Promise<void> {
    const { target, membership } = this.#worker
    try {
      await this.#retrying(command.sync, () => this.#runnerOf(command.sync).accept(command, offset))
      watermark.finish(offset)
      await membership.commit(target, watermark.position, { signal: this.#stopping })
      this.#start(command.sync)
    } catch (error) {
      this.#give(error)
    }
  }

  /** Takes up runs that a detector before this one left open. */
  async #resumeOpenRuns(): Promise<void> {
    const { runs } = this.#deps
    const { partition } = this.#worker.target
    await runs.caughtUp(partition, { signal: this.#stopping })
    for (const { sync, events } of runs.all()) {
      if (homePartition(sync) !== partition || !this.#isMine(sync)) continue
      if ([...events.values()].some(event => !isEnded(event.status))) this.#start(sync)
    }
  }

  #start(sync: string): void {
    const entry = this.#entryOf(sync)
    if (entry.done !== null) return
    entry.done = this.#retrying(sync, () => entry.runner.work())
      .catch((error: unknown) => this.#give(error))
      .finally(async () => {
        entry.done = null
        if (!this.#stopping.aborted && entry.runner.hasWork) this.#start(sync)
        else await entry.runner.disown()
      })
  }

  /**
   * Repeats what fails for want of the log or of the writer, after giving the sync up; a fenced detector
   * stops.
   */
  async #retrying(sync: string, action: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await action()
        return
      } catch (error) {
        if (this.#stopping.aborted || !isSetback(error)) throw error
        this.#deps.logger.warn({ sync, err: error }, 'the sync is taken over anew')
        await this.#runnerOf(sync).disown()
      }
      await sleep(PAUSE_AFTER_SETBACK_MS, { signal: this.#stopping })
    }
  }

  #give(error: unknown): void {
    if (!this.#stopping.aborted) this.#failed.abort(error)
  }

  #runnerOf(sync: string): SyncRunner {
    return this.#entryOf(sync).runner
  }

  #entryOf(sync: string): { readonly runner: SyncRunner; done: Promise<void> | null } {
    const known = this.#runners.get(sync)
    if (known !== undefined) return known
    const ends = { signal: this.#stopping, publishing: this.#publishing }
    const entry = { runner: new SyncRunner(sync, this.#deps, ends), done: null }
    this.#runners.set(sync, entry)
    return entry
  }

  #isMine(sync: string): boolean {
    return this.#deps.only?.has(sync) ?? true
  }
}
