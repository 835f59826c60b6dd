/** What a run over a stream has read and found, for people. */
import type { InvalidSample, StreamMinute, StreamProgress } from '@sluice/contracts/records'
import { OPS, type CountsByOp, type Op, type OpCounts } from '@sluice/contracts/state'
import type { ExtractRows } from '@sluice/delivered-state/extract-port'
import type { StreamedResult } from '@sluice/partition/stage-metrics'
import type { StreamBreak } from '@sluice/sources/stream-port'
import type { Found } from '@sluice/runs/machine/sync-life'
import type { FoundChange } from './decide-slice.ts'
import type { StreamedRow } from './streamed-row.ts'

const MAX_SAMPLES = 10
const MAX_MINUTES = 60
const MINUTE_MS = 60_000

export class StreamCounts {
  /** Entries of the log. */
  read = 0
  unreadable = 0
  repeated = 0
  nothing = 0
  settled = 0
  readonly #detected: { [op in Op]?: number } = {}
  #comparing: string | null = null
  #comparisons: StreamBreak['why'][] = []
  #shown: { readonly [result in StreamedResult]: number } = { new: 0, repeated: 0, unreadable: 0 }
  #rowsRead = 0
  #rowsInvalid = 0
  #samples: InvalidSample[] = []
  readonly #notices = new Set<string>()
  readonly #minutes: StreamMinute[] = []
  #finished = { delivered: 0, failed: 0 }
  readonly #ops: ReadonlySet<Op>
  readonly #now: () => number

  /** `ops`: those with a trigger. */
  constructor(ops: ReadonlySet<Op>, now: () => number) {
    this.#ops = ops
    this.#now = now
  }

  took(entries: number, unreadable: StreamUnreadable): void {
    this.read += entries
    this.#rowsRead += entries
    this.unreadable += unreadable.length
    for (const { place, why } of unreadable) this.#sample({ key: null, reason: `${place}: ${why}` })
    this.#minute({ read: entries })
  }

  comparing({ why, detail }: StreamBreak): void {
    this.#comparisons.push(why)
    this.#comparing = why === 'first' ? 'nothing was compared before' : detail
    if (why !== 'first') this.noticed(`the whole table was compared: ${detail}`)
  }

  /** The run ends for it, and the next one compares. */
  brokeOff({ detail }: StreamBreak): void {
    this.noticed(`the log broke off: ${detail}. The next run compares the whole table`)
  }

  noticed(notice: string): void {
    this.#notices.add(notice)
  }

  compared({ rowsRead, rowsInvalid, invalidSamples }: ExtractRows): void {
    this.#rowsRead += rowsRead
    this.#rowsInvalid += rowsInvalid
    for (const sample of invalidSamples) this.#sample(sample)
  }

  /** All that was compared is published. */
  comparedAll(): void {
    this.#comparing = null
  }

  invalid(key: string, reason: string): void {
    this.#rowsInvalid += 1
    this.#sample({ key, reason })
  }

  published(changes: readonly FoundChange<StreamedRow>[]): void {
    let sent = 0
    for (const { op } of changes)
      if (op === 'settled') this.settled += 1
      else {
        this.#detected[op] = (this.#detected[op] ?? 0) + 1
        sent += 1
      }
    this.#minute({ detected: sent })
  }

  /** Takes notice of how many rows of the run delivery has finished so far. */
  finished(sum: { readonly delivered: number; readonly failed: number }): void {
    const delivered = sum.delivered - this.#finished.delivered
    const failed = sum.failed - this.#finished.failed
    this.#finished = sum
    if (delivered !== 0 || failed !== 0) this.#minute({ delivered, failed })
  }

  /** Returns the entries that were read since the last call, and the reasons of comparisons. */
  sinceShown(): {
    readonly entries: { readonly [result in StreamedResult]: number }
    readonly comparisons: readonly StreamBreak['why'][]
  } {
    const { repeated, unreadable } = this
    const before = this.#shown
    this.#shown = { new: this.read - repeated, repeated, unreadable }
    const comparisons = this.#comparisons
    this.#comparisons = []
    const entries = {
      new: this.#shown.new - before.new,
      repeated: repeated - before.repeated,
      unreadable: unreadable - before.unreadable,
    }
    return { entries, comparisons }
  }

  /** The counts of its event. */
  get found(): Partial<Found> {
    const counts: { [op in Op]?: OpCounts } = {}
    for (const op of OPS) {
      if (!this.#ops.has(op)) continue
      const none = { delivered: 0, rejected: 0, unknown: 0, unsent: 0, requests: 0, attempts: 0 }
      counts[op] = { detected: this.#detected[op] ?? 0, ...none }
    }
    const invalid = { rowsInvalid: this.#rowsInvalid, invalidSamples: this.#samples }
    const notices = [...this.#notices]
    return { rowsRead: this.#rowsRead, ...invalid, notices, counts: counts satisfies CountsByOp }
  }

  /** How the stream stands. */
  progress(
    since: number,
    lag: { readonly records: number | null; readonly oldestCommittedAt: number | null },
    committedAt: number | null,
  ): StreamProgress {
    const lagMs = lag.oldestCommittedAt === null ? null : Math.max(0, this.#now() - lag.oldestCommittedAt)
    // A minute in which nothing happened is not kept, so that an idle stream writes no events.
    if (this.#minutes.at(-1)?.at === this.#thisMinute) this.#minute({ lagMs })
    const { read, unreadable } = this
    const minutes = [...this.#minutes]
    const { records: lagRecords } = lag
    const comparing = this.#comparing
    return { since, comparing, read, unreadable, lagRecords, lagMs, committedAt, minutes }
  }

  get #thisMinute(): number {
    return Math.floor(this.#now() / MINUTE_MS) * MINUTE_MS
  }

  #sample(sample: InvalidSample): void {
    if (this.#samples.length < MAX_SAMPLES) this.#samples = [...this.#samples, sample]
  }

  #minute(more: Partial<Omit<StreamMinute, 'at'>>): void {
    const at = this.#thisMinute
    const last = this.#minutes.at(-1)
    const none = { at, read: 0, detected: 0, delivered: 0, failed: 0, lagMs: null }
    const minute = last?.at === at ? last : none
    const sum = {
      ...minute,
      read: minute.read + (more.read ?? 0),
      detected: minute.detected + (more.detected ?? 0),
      delivered: minute.delivered + (more.delivered ?? 0),
      failed: minute.failed + (more.failed ?? 0),
      lagMs: more.lagMs === undefined ? minute.lagMs : more.lagMs,
    }
    if (last?.at === at) this.#minutes[this.#minutes.length - 1] = sum
    else this.#minutes.push(sum)
    if (this.#minutes.length > MAX_MINUTES) this.#minutes.shift()
  }
}

type StreamUnreadable = readonly { readonly place: string; readonly why: string }[]
