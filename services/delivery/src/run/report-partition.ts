/** Reports on `runs` how far a partition has come, and that it is done (R16). */
import type { PartitionReport, RunBegin, RunEvent } from '@sluice/contracts/records'
import type { CountsByOp, ShownCertificate } from '@sluice/contracts/state'
import { boundedOrNull } from '@sluice/domain/bounded-text'
import { ERROR_BYTES } from '@sluice/domain/record-sizes'
import { sleep } from '@sluice/flow/sleep'
import type { TopicPartition } from '@sluice/message-log/port'
import type { RecordIo } from '@sluice/topics/record-io'
import type { Ownership } from '@sluice/partition/take-over'
import { at, homePartition, reportKey, sharedTopics } from '@sluice/topics/topics'
import type { Worker } from '@sluice/partition/own-partitions'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'

/** Progress is told twice a second at first, and the longer a run lasts, the more rarely. */
const PROGRESS_FIRST_MS = 500
const PROGRESS_LAST_MS = 30_000
const PROGRESS_OF_ELAPSED = 0.05

export interface ReporterOptions {
  readonly io: RecordIo
  readonly prefix: string
  readonly run: RunEvent
  readonly worker: Worker
  readonly ownership: Ownership
  readonly attempts: TopicPartition
  readonly ledger: AttemptLedger
}

export class PartitionReporter {
  readonly #options: ReporterOptions
  #lastEnded = 0

  constructor(options: ReporterOptions) {
    this.#options = options
  }

  /** Number of the last run whose end was reported here; 0 for none. */
  get lastEnded(): number {
    return this.#lastEnded
  }

  /**
   * Reports the end of a run in this partition; resolves once it is acknowledged. `requestsEnd` is 0 where
   * its `run-end` is not reached.
   */
  async reportEnd(end: {
    readonly begin: Pick<RunBegin, 'run'>
    readonly counts: CountsByOp
    readonly fault: { readonly from: number; readonly error: string; readonly errorCode?: string } | null
    readonly requestsEnd: number
    /** What the connections of the run have shown. */
    readonly certificates?: readonly ShownCertificate[]
  }): Promise<void> {
    this.#lastEnded = Math.max(this.#lastEnded, end.begin.run)
    await this.#write({
      run: end.begin.run,
      counts: end.counts,
      ended: true,
      faultedFrom: end.fault?.from ?? null,
      error: end.fault?.error ?? null,
      errorCode: end.fault === null ? null : (end.fault.errorCode ?? 'internal'),
      requestsEnd: end.requestsEnd,
      waiting: null,
      certificates: end.certificates ?? null,
    })
  }

  /**
   * Reports the counts, and what delivery waits for, now and then while they change. People who watch the run
   * see them. Reports come only as often as people could notice, since each stays in the topic until it is
   * compacted. Resolves when stopped. A report that fails is left out.
   */
  async reportProgress(
    ledger: AttemptLedger,
    waitsFor: () => string | null,
    signal: AbortSignal,
  ): Promise<void> {
    let reported: CountsByOp = ledger.progress
    let watched = { run: ledger.run, since: performance.now() }
    let told: string | null = null
    while (!signal.aborted) {
      await sleep(progressPauseMs(performance.now() - watched.since), { signal }).catch(() => undefined)
      const { progress: counts, run } = ledger
      if (run !== watched.run) watched = { run, since: performance.now() }
      const waiting = waitsFor()
      if (signal.aborted || (counts === reported && waiting === told) || run <= this.#lastEnded) continue
      reported = counts
      told = waiting
      const none = { faultedFrom: null, error: null, errorCode: null, requestsEnd: 0 }
      const report = { run, counts, ended: false, waiting, certificates: null, ...none }
      await this.#write(report).catch((error: unknown) => ledger.fail(error))
    }
  }

  async #write(
    report: Omit<PartitionReport, 'sync' | 'incarnation' | 'partition' | 'marker' | 'attemptsEnd'>,
  ): Promise<void> {
    const { io, prefix, run, ownership, attempts, ledger, worker } = this.#options
    const { partition } = attempts
    const value = io.encode('PartitionReport', {
      ...report,
      error: boundedOrNull(report.error, ERROR_BYTES),
      sync: run.sync,
      incarnation: run.incarnation,
      partition,
      marker: ownership.owner(attempts),
      attemptsEnd: ledger.attemptsEnd,
    })
    const target = at(sharedTopics(prefix).runs, homePartition(run.sync))
    await ownership.append(target, [{ key: reportKey(run.sync, partition), value }], {
      signal: worker.abort,
    })
  }
}

/** How long to wait before the next report of progress, of a run that has lasted for so long. */
export function progressPauseMs(elapsedMs: number): number {
  return Math.min(Math.max(elapsedMs * PROGRESS_OF_ELAPSED, PROGRESS_FIRST_MS), PROGRESS_LAST_MS)
}
