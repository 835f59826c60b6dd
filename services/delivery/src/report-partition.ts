/** Tells `runs` how far a partition has come, and that it is done (R16). */
import type { PartitionReport, RunBegin, RunEvent } from '@sluice/contracts/records'
import type { CountsByOp } from '@sluice/contracts/state'
import { sleep } from '@sluice/flow/sleep'
import type { TopicPartition } from '@sluice/message-log/port'
import type { RecordIo } from '@sluice/stage/record-io'
import type { Ownership } from '@sluice/stage/take-over'
import { at, homePartition, reportKey, sharedTopics } from '@sluice/stage/topics'
import type { Worker } from '@sluice/stage/own-partitions'
import type { AttemptLedger } from './attempt-ledger.ts'

const PROGRESS_EVERY_MS = 500

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
  #lastRun = 0

  constructor(options: ReporterOptions) {
    this.#options = options
  }

  /** Reports the end of a run in this partition; resolves once it is acknowledged. */
  async reportEnd(end: {
    readonly begin: RunBegin
    readonly counts: CountsByOp
    readonly fault: { readonly from: number; readonly error: string } | null
    readonly requestsEnd: number
  }): Promise<void> {
    this.#lastRun = end.begin.run
    await this.#write({
      run: end.begin.run,
      counts: end.counts,
      ended: true,
      faultedFrom: end.fault?.from ?? null,
      error: end.fault?.error ?? null,
      requestsEnd: end.requestsEnd,
      waiting: null,
    })
  }

  /**
   * Reports the counts, and what is waited for, now and then while they change, for those who watch. Resolves
   * when stopped; a report that fails is left out.
   */
  async reportProgress(
    ledger: AttemptLedger,
    waitsFor: () => string | null,
    stopping: AbortSignal,
  ): Promise<void> {
    let reported: CountsByOp = ledger.counts
    let told: string | null = null
    while (!stopping.aborted) {
      await sleep(PROGRESS_EVERY_MS, { signal: stopping }).catch(() => undefined)
      const { counts, run } = ledger
      const waiting = waitsFor()
      if (stopping.aborted || (counts === reported && waiting === told) || run <= this.#lastRun) continue
      reported = counts
      told = waiting
      const report = { run, counts, ended: false, faultedFrom: null, error: null, requestsEnd: 0, waiting }
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
      sync: run.sync,
      incarnation: run.incarnation,
      partition,
      marker: ownership.owner(attempts),
      attemptsEnd: ledger.attemptsEnd,
    })
    const target = at(sharedTopics(prefix).runs, homePartition(run.sync))
    await ownership.append(target, [{ key: reportKey(run.sync, partition), value }], {
      signal: worker.signal,
    })
  }
}
