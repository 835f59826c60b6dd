/**
 * Counts how a destination answers the attempts of one partition, for its health. The counts go with the
 * reports of the partition, so a reader of `runs` knows them without reading attempts. The next run, or the
 * next owner, goes on from the last report.
 */
import type { AttemptsSpan, PartitionReport, RecentAttempts } from '@sluice/contracts/records'
import { bySums, JUDGED_MS, kindOfFailure } from '@sluice/domain/destination-health'
import { latencyBin } from '@sluice/history/latency-bins'
import type { UnownedAttempt } from '../ledger/request-history.ts'

/**
 * The attempts of one minute are counted together. Attempts that are too old for a judgement are counted
 * together by five minutes.
 */
const SPAN_MS = 60_000
const COARSE_MS = 5 * 60_000
const KEPT_MS = 3_600_000
/** A span counts at most this many kinds of errors separately, and all further kinds as one. */
const MAX_KINDS = 16
const OTHER = 'other errors'
/** A span has at most this many bins of durations. */
const MAX_BINS = 200

interface Span extends Pick<AttemptsSpan, 'from' | 'run'> {
  delivered: number
  throttled: number
  rowsDelivered: number
  rowsRejected: number
  readonly errors: Map<string, number>
  readonly latency: Map<string, number>
}

export class RecentCounts {
  readonly #lastReport: () => PartitionReport | undefined
  #destination: string | null = null
  #spans: Span[] = []
  #at: number | null = null
  #stopped: RecentAttempts['stopped'] = null
  #version = 0

  /** `lastReport` returns the last report of the partition, by any writer. */
  constructor(lastReport: () => PartitionReport | undefined) {
    this.#lastReport = lastReport
  }

  /** Grows with each attempt. */
  get version(): number {
    return this.#version
  }

  /** True while attempts of the last minute fail. People should see soon when this changes. */
  get isIll(): boolean {
    const span = this.#spans.at(-1)
    return span !== undefined && bySums(span).state !== 'healthy'
  }

  /**
   * Begins a run to this destination. It goes on from the counts of the run before, if that run had the same
   * destination.
   */
  begin(destination: string): void {
    if (destination === this.#destination) return
    this.#destination = destination
    const before = this.#lastReport()?.recent ?? null
    const goesOn = before?.destination === destination
    this.#spans = goesOn ? before.spans.map(spanOf) : []
    this.#at = goesOn ? before.at : null
    this.#stopped = goesOn ? before.stopped : null
  }

  /** Takes an attempt at a request with this many rows. It ignores one that was not sent. */
  take(attempt: UnownedAttempt, rows: number): void {
    if (attempt.attempt === 0) return
    // A rejected batch that is divided does not count, since its parts will count.
    if (attempt.outcome === 'rejected' && (attempt.parts ?? []).length > 0) return
    const now = Date.now()
    const span = this.#spanFor(attempt.run, now)
    this.#at = Math.max(now, this.#at ?? 0)
    this.#version += 1
    const bin = String(latencyBin(attempt.durationMs))
    if (span.latency.has(bin) || span.latency.size < MAX_BINS) add(span.latency, bin)
    this.#count(span, attempt, rows)
  }

  /** Notes why the rest of the run is not sent. */
  stop(by: NonNullable<RecentAttempts['stopped']>['by'], detail: string): void {
    this.#stopped = { by, at: Date.now(), detail }
  }

  /** The counts for a report; null before the first run. */
  get record(): RecentAttempts | null {
    if (this.#destination === null) return this.#lastReport()?.recent ?? null
    const spans = this.#spans.map(({ errors, latency, ...span }) => {
      return { ...span, errors: Object.fromEntries(errors), latency: Object.fromEntries(latency) }
    })
    return { destination: this.#destination, at: this.#at, spans, stopped: this.#stopped }
  }

  #count(span: Span, attempt: UnownedAttempt, rows: number): void {
    const { outcome, status, error, answered } = attempt
    if (outcome === 'throttled') {
      span.throttled += 1
      return
    }
    const isTaken = outcome === 'delivered' || outcome === 'exists' || outcome === 'missing'
    const isRejected = answered && outcome === 'rejected'
    if (isTaken || isRejected || this.#stopped?.by === 'unusable') this.#stopped = null
    const differing = attempt.rows.filter(row => (row.outcome === 'rejected') !== isRejected)
    const rejected = isRejected ? rows - differing.length : isTaken ? differing.length : 0
    if (isTaken || isRejected) {
      span.rowsRejected += rejected
      span.rowsDelivered += rows - rejected
    }
    if (isTaken) span.delivered += 1
    else addKind(span.errors, kindOfFailure(status, error))
  }

  /** The span of this run and time. Each run begins a new span, so that the run is judged by itself. */
  #spanFor(run: number, now: number): Span {
    const last = this.#spans.at(-1)
    if (last !== undefined && last.run === run && now - last.from < SPAN_MS && now >= last.from) return last
    const span = { from: now, run, ...NOTHING, errors: new Map<string, number>(), latency: new Map() }
    const kept = this.#spans.filter(({ from }) => now - from < KEPT_MS && from <= now)
    this.#spans = [...coarse(kept, { run, now }), span]
    return span
  }
}

/** Merges spans that nobody looks at separately: spans of earlier runs, and old ones. */
function coarse(
  spans: readonly Span[],
  { run, now }: { readonly run: number; readonly now: number },
): Span[] {
  const merged: Span[] = []
  for (const span of spans) {
    const before = merged.at(-1)
    const isJudged = span.run === run && now - span.from <= JUDGED_MS
    if (before === undefined || isJudged || span.from - before.from >= COARSE_MS) merged.push(span)
    else merged.splice(-1, 1, sumOf(before, span))
  }
  return merged
}

const NOTHING = { delivered: 0, throttled: 0, rowsDelivered: 0, rowsRejected: 0 }

function spanOf({ errors, latency, ...span }: AttemptsSpan): Span {
  return { ...span, errors: new Map(Object.entries(errors)), latency: new Map(Object.entries(latency)) }
}

function sumOf(a: Span, b: Span): Span {
  for (const [kind, count] of b.errors) addKind(a.errors, kind, count)
  for (const [bin, count] of b.latency) add(a.latency, bin, count)
  return {
    ...a,
    run: b.run,
    delivered: a.delivered + b.delivered,
    throttled: a.throttled + b.throttled,
    rowsDelivered: a.rowsDelivered + b.rowsDelivered,
    rowsRejected: a.rowsRejected + b.rowsRejected,
  }
}

function addKind(errors: Map<string, number>, kind: string, count = 1): void {
  add(errors, errors.has(kind) || errors.size < MAX_KINDS ? kind : OTHER, count)
}

function add(counts: Map<string, number>, key: string, count = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}
