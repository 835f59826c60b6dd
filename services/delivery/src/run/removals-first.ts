/**
 * Makes added and changed rows wait until all partitions have finished their removals, if the run asks for
 * it: an API may take a removed key and another one for the same object (PROTOCOL.md §6, §8). Within a
 * partition removals come first (R17), so delivery never has to read past a waiting row.
 */
import type { Request, WaitNow } from '@sluice/contracts/records'
import { homePartition } from '@sluice/topics/topics'
import type { MaybeSent } from './maybe-sent.ts'
import type { DeliveryParts, OpenRun } from './open-run.ts'
import type { PartitionReporter } from './report-partition.ts'

const WAITS: WaitNow = {
  kind: 'queued',
  until: null,
  detail: 'rows wait for all removals, since keys of the run differ only in letter case, accents or blanks',
}

export class RemovalsFirst {
  readonly #parts: DeliveryParts
  readonly #maybeSent: Pick<MaybeSent, 'untilNoneIsLate'>
  readonly #reporter: Pick<PartitionReporter, 'reportRemovals' | 'reportGoesOn' | 'hasRemoved'>
  /** The last run whose removals are all finished. */
  #finishedRun = 0
  #waitsFor: WaitNow | null = null

  constructor(
    parts: DeliveryParts,
    deps: {
      readonly maybeSent: Pick<MaybeSent, 'untilNoneIsLate'>
      readonly reporter: Pick<PartitionReporter, 'reportRemovals' | 'reportGoesOn' | 'hasRemoved'>
    },
  ) {
    this.#parts = parts
    this.#maybeSent = deps.maybeSent
    this.#reporter = deps.reporter
  }

  /** The wait of `untilFinished`; null while nothing waits. */
  get waitsFor(): WaitNow | null {
    return this.#waitsFor
  }

  /** True for a request that has to wait. In a run that ends early no request waits, since none is sent. */
  mustWait({ begin, early }: OpenRun, { trigger }: Pick<Request, 'trigger'>): boolean {
    if (begin.removalsFirst !== true || trigger === 'removed') return false
    return this.#finishedRun !== begin.run && !early.signal.aborted
  }

  /**
   * Resolves once the next request may be sent. All earlier requests of the partition are in work or
   * finished.
   */
  async untilFinished(open: OpenRun, signal: AbortSignal): Promise<void> {
    const { deps, run, ledger, requests } = this.#parts
    const { begin, early, target } = open
    await ledger.room(() => ledger.unfinished === 0, { signal })
    // A removal that a dead process sent may arrive late.
    if (!this.#reporter.hasRemoved(begin.run)) await this.#maybeSent.untilNoneIsLate(target, signal)
    const partitions = (await deps.log.partitionsOf(requests.topic, { signal })) ?? 1
    const mayGo = (): boolean => early.signal.aborted || this.#haveFinished(begin.run, partitions)
    const isReported = (): boolean => this.#reporter.hasRemoved(begin.run)
    const ends = AbortSignal.any([signal, early.signal])
    this.#waitsFor = WAITS
    try {
      while (partitions > 1 && !mayGo()) {
        if (isReported()) {
          // An unfenced report may replace the report of finished removals.
          await deps.runs.until(() => mayGo() || !isReported(), { signal: ends })
        } else {
          await this.#reporter.reportRemovals(begin.run, WAITS)
          await deps.runs.caughtUp(homePartition(run.sync), { signal: ends })
        }
      }
    } catch (error) {
      if (signal.aborted || !early.signal.aborted) throw error
    } finally {
      this.#waitsFor = null
    }
    await this.#reporter.reportGoesOn()
    if (!early.signal.aborted) this.#finishedRun = begin.run
  }

  #haveFinished(number: number, partitions: number): boolean {
    const { deps, run } = this.#parts
    const known = deps.runs.of(run.sync)
    if (known?.incarnation !== run.incarnation) return false
    const finished = [...known.reports.values()].filter(
      report => report.run === number && (report.ended || report.removalsFinished === true),
    )
    return finished.length >= partitions
  }
}
