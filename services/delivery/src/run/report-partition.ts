/** Reports the progress of a partition on `runs`, and the end of each run there (R16). */
import type {
  FailedRows,
  PartitionReport,
  RunBegin,
  RunEvent,
  Wait,
  WaitNow,
} from '@sluice/contracts/records'
import type { CountsByOp, ShownCertificate } from '@sluice/contracts/state'
import { boundedOrNull, boundedText } from '@sluice/domain/bounded-text'
import { ERROR_BYTES } from '@sluice/domain/record-sizes'
import { sleep } from '@sluice/flow/sleep'
import type { TopicPartition, MessageLog } from '@sluice/message-log/port'
import type { RecordIo } from '@sluice/topics/record-io'
import type { Ownership } from '@sluice/partition/take-over'
import type { RunsView } from '@sluice/runs/runs-view'
import type { Traces } from '@sluice/runtime/traces/span'
import { at, homePartition, reportKey, sharedTopics } from '@sluice/topics/topics'
import type { Worker } from '@sluice/partition/own-partitions'
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import { PositionHints } from '@sluice/partition/position-hints'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'
import { partitionSpans, PhaseClock } from './partition-spans.ts'
import type { RecentCounts } from './recent-attempts.ts'
import { ReportedWaits } from './reported-waits.ts'

/** Progress is reported twice a second at first, and the longer a run lasts, the less often. */
const PROGRESS_FIRST_MS = 500
const LOOKS_EVERY_MS = 500
/** A process may serve hundreds of streams that have nothing to do. */
const LOOKS_AT_IDLE_STREAM_MS = 2_000
const PROGRESS_LAST_MS = 30_000
const PROGRESS_OF_ELAPSED = 0.05
/** A run over a stream lasts for an hour, and its figures are those of now. */
const PROGRESS_OF_STREAM_MS = 5_000
/** If a destination begins to fail, or to take requests again, a report follows within this time. */
const TURNED_MS = 5_000
/** A shorter handover is not reported. */
const HAND_OVER_SHOWN_AFTER_MS = 500
const HANDS_OVER =
  'a process hands a part of the run over to another, once requests that are under way are answered'

/** The run over a stream that is open. */
interface StreamAtWork {
  readonly run: number
  /** The last of its slices that was passed on; null if there is none. */
  readonly slice: () => number | null
}

interface ReporterOptions {
  readonly io: RecordIo
  readonly prefix: string
  readonly run: RunEvent
  readonly worker: Worker
  readonly ownership: Ownership
  readonly attempts: TopicPartition
  readonly ledger: AttemptLedger
  readonly recent: RecentCounts
  readonly runs: Pick<RunsView, 'of'>
  /** Absent or null where runs are not traced. */
  readonly traces?: Traces | null | undefined
}

/** The end of a run in a partition. */
interface RunEnd {
  readonly begin: Pick<RunBegin, 'run'>
  readonly counts: CountsByOp
  readonly fault: { readonly from: number; readonly error: string; readonly errorCode?: string } | null
  readonly requestsEnd: number
  /** The number of processes that the run has ended in this partition; default none. */
  readonly deaths?: number
  /** The certificates that the connections of the run have shown. */
  readonly certificates?: readonly ShownCertificate[]
}

export class PartitionReporter {
  readonly #options: ReporterOptions
  readonly phases: PhaseClock
  /** Null while no run over a stream is open. */
  stream: StreamAtWork | null = null
  readonly #lastReport: () => PartitionReport | undefined
  #lastEnded = 0
  #lastEnd: RunEnd | null = null
  /** The last run whose removals this process has finished. */
  #removed = 0
  /** True if the last report of this owner has a wait. */
  #reportsWait = false
  /** The reasons that an earlier owner reported, for its run. */
  readonly #before: { readonly run: number; readonly failures: readonly FailedRows[] } | null

  /** `lastReport` returns the last report of the partition, by any writer. */
  constructor(options: ReporterOptions, lastReport: () => PartitionReport | undefined) {
    this.#options = options
    this.#lastReport = lastReport
    this.phases = new PhaseClock(lastReport)
    const report = lastReport()
    this.#before = report === undefined ? null : { run: report.run, failures: report.failures ?? [] }
  }

  /** The number of the last run whose end was reported here; 0 for none. */
  get lastEnded(): number {
    return this.#lastEnded
  }

  /** True if `runs` has a report that the removals of the run are finished here. */
  hasRemoved(run: number): boolean {
    const last = this.#lastReport()
    return last?.run === run && (last.removalsFinished === true || last.ended)
  }

  /** Reports that the removals of the run are finished here and can arrive no more, and the present wait. */
  async reportRemovals(run: number, waitsFor: WaitNow): Promise<void> {
    this.#removed = run
    await this.#writeProgress([{ ...waitsFor, since: Date.now() }])
  }

  /**
   * Reports the end of a wait, before anything is sent. The death of an owner does not count while it waits,
   * and has to count once it sends (PROTOCOL.md §11).
   */
  async reportGoesOn(): Promise<void> {
    if (this.#reportsWait || (this.#lastReport()?.waits ?? []).length > 0) await this.#writeProgress([])
  }

  /**
   * Reports the end of a run in this partition. Resolves once it is acknowledged. `requestsEnd` is 0 if the
   * `run-end` is not reached.
   */
  async reportEnd(end: RunEnd): Promise<void> {
    this.#lastEnded = Math.max(this.#lastEnded, end.begin.run)
    this.#lastEnd = end
    // The run may end as soon as the report is there.
    const now = Date.now()
    await this.#write({
      run: end.begin.run,
      counts: end.counts,
      ended: true,
      faultedFrom: end.fault?.from ?? null,
      error: end.fault?.error ?? null,
      errorCode: end.fault === null ? null : (end.fault.errorCode ?? 'internal'),
      requestsEnd: end.requestsEnd,
      waits: [],
      phases: this.phases.timesOf(end.begin.run),
      certificates: end.certificates ?? null,
      deaths: (end.deaths ?? 0) > 0 ? (end.deaths ?? null) : null,
    })
    this.#trace(end, now)
  }

  /**
   * Reports that requests of the run are missing, so that the run ends here. Its `run-end` may be an hour
   * away.
   */
  async reportFault(run: number, fault: NonNullable<RunEnd['fault']>): Promise<void> {
    const { counts, waits, phases } = this.#progressOf(run)
    await this.#write({
      ...{ run, counts, waits, phases, ended: false, requestsEnd: 0, certificates: null },
      ...{ faultedFrom: fault.from, error: fault.error, errorCode: fault.errorCode ?? 'internal' },
    })
  }

  /** Reports the last end once more, since a late unfenced report has replaced it. */
  async repeatEnd(): Promise<void> {
    if (this.#lastEnd !== null) await this.reportEnd(this.#lastEnd)
  }

  #trace(end: RunEnd, now: number): void {
    const { traces, runs, run, attempts } = this.#options
    if (traces === null || traces === undefined) return
    const { sync } = run
    const { run: number } = end.begin
    const event = [...(runs.of(sync)?.events.values() ?? [])].find(each => each.run === number)
    if (event === undefined) return
    const { runId } = event
    const phases = this.phases.timesOf(number)
    const error = end.fault?.error ?? null
    const { partition } = attempts
    const { counts } = end
    const spans = partitionSpans({ runId, sync, partition, phases, counts, error, now })
    for (const span of spans) traces.take(span)
  }

  /**
   * Reports counts and waits for people, whenever they change. Counts are reported only as often as people
   * notice, since each report stays in the topic until it is compacted. The begin and end of a wait are
   * reported within a second, or within two seconds if a stream had nothing to do before, unless waits come
   * and go all the time. Resolves when aborted. Skips a report that fails.
   */
  async reportProgress(
    ledger: AttemptLedger,
    waitsFor: () => WaitNow | null,
    signal: AbortSignal,
  ): Promise<void> {
    const { recent } = this.#options
    const look = () => {
      const { progress: counts, failures } = ledger
      const slice = this.stream?.slice() ?? null
      // That it sends is news, too, before the first request is answered.
      const phases = this.phases.timesOf(ledger.run)
      return {
        counts,
        slice,
        phases,
        failures: failures.version,
        attempts: recent.version,
        isIll: recent.isIll,
      }
    }
    let reported = look()
    // If a run comes to a stop, reports go on until no row was finished for a while.
    let isStillFast = false
    let watched = { run: ledger.run, since: performance.now() }
    let reportedAtMs = performance.now()
    const last = this.#lastReport()
    const waits = new ReportedWaits(last?.run === ledger.run && !last.ended ? (last.waits ?? []) : [])
    let isIdle = false
    while (!signal.aborted) {
      const lookMs = isIdle && this.stream !== null ? LOOKS_AT_IDLE_STREAM_MS : LOOKS_EVERY_MS
      await sleep(lookMs, { signal }).catch(() => undefined)
      const { run } = ledger
      const nowMs = performance.now()
      if (run !== watched.run) watched = { run, since: nowMs }
      const pauseMs = this.stream === null ? progressPauseMs(nowMs - watched.since) : PROGRESS_OF_STREAM_MS
      const wait = waitsFor()
      const isNews = waits.see(wait, { nowMs, refillMs: pauseMs })
      const now = look()
      const isSame =
        now.counts === reported.counts &&
        now.slice === reported.slice &&
        now.phases === reported.phases &&
        now.failures === reported.failures &&
        now.attempts === reported.attempts
      isIdle = isSame && wait === null && !isNews
      // A destination that begins to fail is news, however long the run lasts.
      const dueMs = now.isIll === reported.isIll ? pauseMs : Math.min(pauseMs, TURNED_MS)
      const isDue = (!isSame || isStillFast) && nowMs - reportedAtMs >= dueMs
      if (signal.aborted || (!isDue && !isNews) || run <= this.#lastEnded) continue
      reported = now
      reportedAtMs = nowMs
      const { rows } = ledger.lately
      isStillFast = rows !== null && rows.delivered + rows.failed > 0
      await this.#writeProgress(waits.reported)
    }
  }

  /**
   * Waits for `stopped`, which resolves once the requests under way are answered. Meanwhile another process
   * waits for the partition. If the wait is long, this reports it, so that people see why the run makes no
   * progress. Rejects as `stopped` does.
   */
  async handOver(stopped: Promise<void> | undefined): Promise<void> {
    const over = new AbortController()
    const reporting = this.#reportHandOver(AbortSignal.any([over.signal, this.#options.worker.abort]))
    try {
      await stopped
    } finally {
      over.abort()
      await reporting
    }
  }

  async #reportHandOver(signal: AbortSignal): Promise<void> {
    const { worker, ledger } = this.#options
    if (!worker.drain.aborted) return
    const since = Date.now()
    await sleep(HAND_OVER_SHOWN_AFTER_MS, { signal }).catch(() => undefined)
    if (signal.aborted || ledger.failure.aborted || ledger.run <= this.#lastEnded) return
    await this.#writeProgress([{ kind: 'takeover', since, until: null, detail: HANDS_OVER }])
  }

  /** Writes a report. If that fails, the ledger fails, too, which ends the work. */
  async #writeProgress(waits: readonly Wait[]): Promise<void> {
    const { ledger } = this.#options
    const { run } = ledger
    const none = { faultedFrom: null, error: null, errorCode: null, requestsEnd: 0 }
    const report = { ...this.#progressOf(run), waits, ended: false, certificates: null, ...none }
    await this.#write(report).catch((error: unknown) => ledger.fail(error))
  }

  #progressOf(run: number): Pick<PartitionReport, 'run' | 'counts' | 'waits' | 'phases'> {
    const { progress: counts } = this.#options.ledger
    return { run, counts, waits: [], phases: this.phases.timesOf(run) }
  }

  async #write(
    report: Omit<
      PartitionReport,
      'sync' | 'incarnation' | 'partition' | 'marker' | 'attemptsEnd' | 'recent' | 'slice'
    >,
  ): Promise<void> {
    const { io, prefix, run, ownership, attempts, ledger, recent, worker } = this.#options
    const { partition } = attempts
    this.#reportsWait = (report.waits ?? []).length > 0
    const { rows: lately } = ledger.lately
    const value = io.encode('PartitionReport', {
      ...report,
      failures: this.#failuresOf(report.run),
      lately: report.ended || lately === null ? null : { at: Date.now(), ...lately },
      error: boundedOrNull(report.error, ERROR_BYTES),
      removalsFinished: this.#removed === report.run || this.hasRemoved(report.run) || null,
      waits: (report.waits ?? []).map(wait => ({ ...wait, detail: boundedText(wait.detail, ERROR_BYTES) })),
      sync: run.sync,
      incarnation: run.incarnation,
      partition,
      marker: ownership.markerOffset(attempts),
      attemptsEnd: ledger.attemptsEnd,
      recent: recent.record,
      slice: this.stream?.run === report.run ? this.stream.slice() : null,
    })
    const target = at(sharedTopics(prefix).runs, homePartition(run.sync))
    await ownership.append(target, [{ key: reportKey(run.sync, partition), value }], {
      signal: worker.abort,
    })
  }

  #failuresOf(run: number): readonly FailedRows[] {
    const { ledger } = this.#options
    const before = this.#before?.run === run ? this.#before.failures : []
    return ledger.run === run ? ledger.failures.all(before) : before
  }
}

/** Returns the pause before the next report of progress, in ms, for a run that has lasted for `elapsedMs`. */
export function progressPauseMs(elapsedMs: number): number {
  return Math.min(Math.max(elapsedMs * PROGRESS_OF_ELAPSED, PROGRESS_FIRST_MS), PROGRESS_LAST_MS)
}

interface BacklogOptions {
  readonly log: MessageLog
  readonly stageMetrics: StageMetrics | undefined
  readonly run: Pick<RunEvent, 'sync'>
  readonly worker: Pick<Worker, 'target' | 'membership' | 'abort'>
  readonly ledger: Pick<AttemptLedger, 'position' | 'oldestAt'>
  readonly requests: TopicPartition
}

/**
 * Shows operators, until disposed, how many requests of a partition are left to deliver, and how old they
 * are. It also commits the position as a hint. A process without metrics does neither, since nobody watches
 * it.
 */
export function showBacklog({
  log,
  stageMetrics,
  run,
  worker,
  ledger,
  requests,
}: BacklogOptions): Pick<PositionHints, 'now'> & AsyncDisposable {
  if (stageMetrics === undefined)
    return { now: () => undefined, [Symbol.asyncDispose]: () => Promise.resolve() }
  const { partition } = requests
  const onRound = async (): Promise<void> => {
    const { end } = await log.offsets(requests, { signal: worker.abort })
    const left = Math.max(0, end - ledger.position)
    const { oldestAt } = ledger
    const oldestMs = left === 0 || oldestAt === null ? 0 : Math.max(0, Date.now() - oldestAt)
    stageMetrics.backlog(run.sync, partition, { requests: left, oldestMs })
  }
  const hints = new PositionHints(worker, { position: () => ledger.position, onRound })
  return {
    now: () => hints.now(),
    async [Symbol.asyncDispose]() {
      await hints[Symbol.asyncDispose]()
      stageMetrics.backlog(run.sync, partition, null)
    },
  }
}
