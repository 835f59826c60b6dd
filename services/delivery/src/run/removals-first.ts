/**
 * Holds rows that are added or changed back until all partitions have finished their removals, in a run that
 * asks for it: an API may take a removed key and another one for the same object (PROTOCOL.md §6, §8). Within
 * a partition removals stand first (R17), so that nothing has to be read past what waits.
 */
import type { Request } from '@sluice/contracts/records'
import type { WaitNow } from '@sluice/contracts/run-records'
import { homePartition } from '@sluice/topics/topics'
import type { Doubt } from './doubt.ts'
import type { DeliveryParts, OpenRun } from './open-run.ts'
import type { PartitionReporter } from './report-partition.ts'

const WAITS: WaitNow = {
  kind: 'queued',
  until: null,
  detail: 'rows wait for all removals, since keys of the run differ only in letter case, accents or blanks',
}

export class RemovalsFirst {
  readonly #parts: DeliveryParts
  readonly #doubt: Pick<Doubt, 'untilNoneIsLate'>
  readonly #reporter: Pick<PartitionReporter, 'reportRemovals' | 'reportGoesOn' | 'hasRemoved'>
  /** The last run of which all removals are finished. */
  #passed = 0
  #waitsFor: WaitNow | null = null

  constructor(
    parts: DeliveryParts,
    of: {
      readonly doubt: Pick<Doubt, 'untilNoneIsLate'>
      readonly reporter: Pick<PartitionReporter, 'reportRemovals' | 'reportGoesOn' | 'hasRemoved'>
    },
  ) {
    this.#parts = parts
    this.#doubt = of.doubt
    this.#reporter = of.reporter
  }

  get waitsFor(): WaitNow | null {
    return this.#waitsFor
  }

  /** True for a request that is to wait. Of a run that ends early, nothing more is sent. */
  holds({ begin, early }: OpenRun, { trigger }: Pick<Request, 'trigger'>): boolean {
    if (begin.removalsFirst !== true || trigger === 'removed') return false
    return this.#passed !== begin.run && !early.signal.aborted
  }

  /** Resolves once the request may go on, of which all earlier ones of the partition are taken into work. */
  async untilFinished(open: OpenRun, signal: AbortSignal): Promise<void> {
    const { deps, run, ledger, requests } = this.#parts
    const { begin, early, target } = open
    await ledger.room(() => ledger.unfinished === 0, { signal })
    // A removal that a dead process had sent may arrive late.
    if (!this.#reporter.hasRemoved(begin.run)) await this.#doubt.untilNoneIsLate(target, signal)
    const partitions = (await deps.log.partitionsOf(requests.topic, { signal })) ?? 1
    const mayGo = (): boolean => early.signal.aborted || this.#haveFinished(begin.run, partitions)
    const isReported = (): boolean => this.#reporter.hasRemoved(begin.run)
    const ends = AbortSignal.any([signal, early.signal])
    this.#waitsFor = WAITS
    try {
      while (partitions > 1 && !mayGo()) {
        if (isReported()) {
          // A report without a fence may take the place of the one that says so.
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
    if (!early.signal.aborted) this.#passed = begin.run
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
