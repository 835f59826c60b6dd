/** Hands rendered requests to the log, in order and several appends at a time. */
import type { Abortable } from '@sluice/flow/abortable'
import type { ByteShare } from '@sluice/flow/byte-budget'
import type { NewRecord } from '@sluice/message-log/port'

/** Requests are appended once this much is rendered, and this many appends may be under way. */
const APPEND_BYTES = 512 * 1024
const APPEND_RECORDS = 1000
const APPENDS_UNDER_WAY = 4
/** No append is larger, except one of a single record. Topics take a little more than twice as much. */
const APPEND_CEILING_BYTES = 8_000_000

export interface RequestAppendsOptions {
  readonly append: (records: readonly NewRecord[], options: Abortable) => Promise<unknown>
  /** This partition's share of what all partitions have rendered and the log has not acknowledged. */
  readonly share: ByteShare
  readonly abort: AbortSignal
  /** Most bytes of an append of several records; default 8 MB. */
  readonly ceilingBytes?: number | undefined
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

  /**
   * Aborts, with the error as reason, once an append has failed. The partition then has to be taken over
   * again.
   */
  get failed(): AbortSignal {
    return this.#failed.signal
  }

  /** True once so much is rendered that it should be appended. */
  get areMany(): boolean {
    return this.#pendingBytes >= APPEND_BYTES || this.#pending.length >= APPEND_RECORDS
  }

  push(record: NewRecord): void {
    this.#pending.push(record)
    this.#pendingBytes += record.value?.length ?? 0
  }

  /** Hands over what is rendered. It waits only while too much of it is under way. */
  async append(): Promise<void> {
    this.#failed.signal.throwIfAborted()
    const portions = portionsOf(this.#pending, this.#options.ceilingBytes ?? APPEND_CEILING_BYTES)
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
    if (this.#underWay.size >= APPENDS_UNDER_WAY) await Promise.race(this.#underWay)
  }
}

/**
 * Divides the records, in order, into portions. No portion is larger than the ceiling, unless it has a single
 * record.
 */
function portionsOf(records: readonly NewRecord[], ceilingBytes: number): readonly (readonly NewRecord[])[] {
  const portions: NewRecord[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const record of records) {
    const size = record.value?.length ?? 0
    bytes += size
    if (bytes > ceilingBytes) {
      portions.push([])
      bytes = size
    }
    portions.at(-1)?.push(record)
  }
  return portions
}
