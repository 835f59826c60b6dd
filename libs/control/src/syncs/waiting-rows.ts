/**
 * Counts the rows of a sync that wait for another attempt, or for a person's decision. Most syncs have none,
 * which their runs show. For other syncs, it counts the rows in the topic `retry`, once after each run, and
 * while rows of a stream wait.
 */
import type { SyncView } from '@sluice/contracts/api'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import { detectedRows, undeliveredRows } from '@sluice/domain/counts'
import { isOfStream } from '@sluice/domain/stream-minutes'
import { isEnded } from '@sluice/domain/run-status'
import { RecentMap } from '@sluice/flow/recent-map'
import { hasSeenModel, isOfSomeRows } from '@sluice/runs/machine/run-events'
import { countsByNow } from '../history/run-views.ts'

/** If the last run says that more rows failed, its count is shown, and the topic is not counted. */
const MAX_COUNTED = 10_000
const MAX_SYNCS_KEPT = 10_000

export class WaitingRows {
  readonly #known = new RecentMap<string, { readonly after: string; readonly failed: number }>({
    limit: MAX_SYNCS_KEPT,
  })

  /**
   * `events` are the runs of one incarnation, the newest first. `reports` are the reports of the run at work.
   * `count` counts the rows in `retry`.
   */
  async of(
    events: readonly RunEvent[],
    reports: ReadonlyMap<number, PartitionReport>,
    count: (limit: number) => Promise<number>,
  ): Promise<SyncView['rows']> {
    const atWork = events.find(({ status }) => status === 'running')
    if (atWork !== undefined && isOfStream(atWork)) return await this.#ofStream(atWork, reports, count)
    // A run that is sending takes up all rows that waited. The rows that it has not finished are still to
    // come.
    if (atWork !== undefined && takesUpAll(atWork))
      return { failed: undeliveredRows(countsByNow(atWork, reports)), heldBack: atWork.undecided ?? 0 }
    const ended = events.filter(({ run, status }) => run !== null && isEnded(status))
    const [last] = ended
    if (last === undefined) return { failed: 0, heldBack: 0 }
    const seen = ended.findIndex(event => hasSeenModel(event) && event.status !== 'failed')
    const full = ended[seen]
    const heldBack = full?.undecided ?? 0
    const undelivered = full === undefined ? null : undeliveredRows(full.counts)
    if (seen === 0 && undelivered === 0 && heldBack === 0) return { failed: 0, heldBack: 0 }
    if (undelivered !== null && undelivered >= MAX_COUNTED) return { failed: undelivered, heldBack }
    const known = this.#known.get(last.sync)
    if (known?.after === last.runId) return { failed: Math.max(0, known.failed - heldBack), heldBack }
    const failed = await count(MAX_COUNTED)
    this.#known.set(last.sync, { after: last.runId, failed })
    return { failed: Math.max(0, failed - heldBack), heldBack }
  }

  /**
   * The counts of a stream have each try of a row, so that they only tell whether a row may wait. A row waits
   * until it is delivered, and its try is counted before that.
   */
  async #ofStream(
    run: RunEvent,
    reports: ReadonlyMap<number, PartitionReport>,
    count: (limit: number) => Promise<number>,
  ): Promise<SyncView['rows']> {
    const heldBack = run.undecided ?? 0
    const after = `${run.runId} ${undeliveredRows(countsByNow(run, reports))}`
    const known = this.#known.get(run.sync)
    if (known?.after === after && known.failed === 0) return { failed: 0, heldBack }
    const failed = await count(MAX_COUNTED)
    this.#known.set(run.sync, { after, failed })
    return { failed: Math.max(0, failed - heldBack), heldBack }
  }
}

/** True for a run that has compared the whole model, and found rows to send. */
function takesUpAll(run: RunEvent): boolean {
  return detectedRows(run.counts) > 0 && !isOfSomeRows(run)
}
