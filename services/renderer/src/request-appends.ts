/** Appends rendered requests to the log, in order, with several appends under way. */
import type { Abortable } from '@sluice/flow/abortable'
import type { ByteShare } from '@sluice/flow/byte-budget'
import type { NewRecord } from '@sluice/message-log/port'

/** Requests are appended once they have this many bytes, or there are this many of them. */
const MIN_APPEND_BYTES = 512 * 1024
const MIN_APPEND_RECORDS = 1000
const MAX_APPENDS_UNDER_WAY = 4
/** Only an append of a single record may be larger. A topic accepts a little more than twice as much. */
const MAX_APPEND_BYTES = 8_000_000

export interface RequestAppendsOptions {
  readonly append: (records: readonly NewRecord[], options: Abortable) => Promise<unknown>
  /** This partition's share of the bytes that are rendered and not acknowledged. */
  readonly share: ByteShare
  readonly abort: AbortSignal
  /** The limit of an append of several records; default 8 MB. */
  readonly maxAppendBytes?: number | undefined
}

export class RequestAppends {
  readonly #options: RequestAppendsOptions
  readonly #failed = new AbortController()
  readonly #underWay = new Set<Promise<unknown>>()
  #pending: NewRecord[] = []
  #pendingBytes = 0

  constructor(options: RequestAppendsOptions) {
    this.#options = options
  }

  /** Aborts with the error of an append that failed. The partition then has to be taken over again. */
  get failed(): AbortSignal {
    return this.#failed.signal
  }

  /** True once enough requests are pending for an append. */
  get areMany(): boolean {
    return this.#pendingBytes >= MIN_APPEND_BYTES || this.#pending.length >= MIN_APPEND_RECORDS
  }

  push(record: NewRecord): void {
    this.#pending.push(record)
    this.#pendingBytes += record.value?.length ?? 0
  }

  /** Begins to append the pending requests. Waits only while too many bytes or appends are under way. */
  async append(): Promise<void> {
    this.#failed.signal.throwIfAborted()
    const portions = portionsOf(this.#pending, this.#options.maxAppendBytes ?? MAX_APPEND_BYTES)
    this.#pending = []
    this.#pendingBytes = 0
    for (const records of portions) await this.#appendPortion(records)
  }

  /**
   * Resolves once all appends are acknowledged. Rejects with the error of a failed append, unless aborted.
   */
  async done(): Promise<void> {
    await Promise.all(this.#underWay)
    if (!this.#options.abort.aborted) this.#failed.signal.throwIfAborted()
  }

  async #appendPortion(records: readonly NewRecord[]): Promise<void> {
    const { append, share, abort: signal } = this.#options
    const bytes = records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
    await share.take(bytes, { signal: AbortSignal.any([signal, this.#failed.signal]) })
    const appended = append(records, { signal })
      .catch((error: unknown) => this.#failed.abort(error))
      .finally(() => {
        share.give(bytes)
        this.#underWay.delete(appended)
      })
    this.#underWay.add(appended)
    if (this.#underWay.size >= MAX_APPENDS_UNDER_WAY) await Promise.race(this.#underWay)
  }
}

/**
 * Divides records, in order, into portions. Only a portion of a single record may have more than `maxBytes`.
 */
function portionsOf(records: readonly NewRecord[], maxBytes: number): readonly (readonly NewRecord[])[] {
  const portions: NewRecord[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const record of records) {
    const size = record.value?.length ?? 0
    bytes += size
    if (bytes > maxBytes) {
      portions.push([])
      bytes = size
    }
    portions.at(-1)?.push(record)
  }
  return portions
}
