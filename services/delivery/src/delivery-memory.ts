/**
 * Bounds the memory of delivery over all partitions of a process (PROTOCOL.md §8). It holds requests from the
 * moment they are taken into work until their attempts are written, and buffers of requests and answers that
 * are being read. The limits are in bytes, and do not depend on the number of requests in flight.
 */
import { ByteBudget, type ByteShare } from '@sluice/flow/byte-budget'
import type { Request, Unrenderable } from '@sluice/contracts/records'
import type { Precautions } from '@sluice/partition/deaths/count-deaths'
import type { UnownedAttempt } from './ledger/request-history.ts'
import type { Target } from './destination/target.ts'
import type { AttemptLedger } from './ledger/attempt-ledger.ts'

/** The most requests from the lowest unfinished one to the newest one that is taken into work. */
const WINDOW_REQUESTS = 10_000
const ACTIVE_PER_SLOT = 4
const MIN_ACTIVE = 64
const MAYBE_SENT_PER_SLOT = 2

/**
 * Returns the most requests of the window that are ready, sent or not yet acknowledged (PROTOCOL.md §8, _How
 * much is in work_). The others wait to be sent again, or are finished.
 */
export function maxActive({ concurrency }: Pick<Target, 'concurrency'>): number {
  return Math.max(MIN_ACTIVE, Math.min(concurrency, WINDOW_REQUESTS) * ACTIVE_PER_SLOT)
}

/**
 * Returns how many requests a process may have sent without a record at most (R7). Returns null for
 * `at-most-once`, since each attempt then has an intent in the ledger.
 */
export function maxMaybeSent({
  concurrency,
  atMostOnce,
}: Pick<Target, 'concurrency' | 'atMostOnce'>): number | null {
  return atMostOnce ? null : Math.min(concurrency * MAYBE_SENT_PER_SLOT, WINDOW_REQUESTS)
}

type Taking = Parameters<typeof RequestMemory.take>[1]

interface Open {
  readonly precautions: Precautions
  readonly target: Target
  readonly sending: { readonly waiting: number }
}

/** Decides whether a partition may take one more record into work, by number and by memory. */
export class WorkRoom {
  readonly #ledger: AttemptLedger
  readonly #share: ByteShare

  constructor({ ledger, share }: { readonly ledger: AttemptLedger; readonly share: ByteShare }) {
    this.#ledger = ledger
    this.#share = share
  }

  /** Takes memory for a record, if few enough are in work and there is memory now; else returns null. */
  tryTake(open: Open, record: Omit<Taking, 'signal'>): RequestMemory | null {
    if (this.#ledger.failure.aborted || !this.#hasRoom(open)) return null
    return RequestMemory.tryTake(this.#share, record)
  }

  /**
   * Waits until it can take memory for a record. Rejects with the failure of the ledger, and when aborted.
   */
  async take(open: Open, record: Taking): Promise<RequestMemory> {
    await this.#ledger.room(() => this.#hasRoom(open), record)
    return await RequestMemory.take(this.#share, record)
  }

  /** Requests that wait to be sent again count only for the window. */
  #hasRoom({ precautions, sending, target }: Open): boolean {
    const { window, unfinished } = this.#ledger
    const max = maxActive(target)
    const allowed = precautions.isOneByOne(max) ? 1 : max
    return window < WINDOW_REQUESTS && unfinished - sending.waiting < allowed
  }
}

const REQUESTS_SHARE = 0.5
const ANSWERS_SHARE = 0.25
const READERS_SHARE = 0.25
/** A partition is read ahead within these bounds. */
const MAX_READER_BYTES = 1024 * 1024
const MIN_READER_BYTES = 64 * 1024
/** Decoded rows take this many times the bytes that they take in the topic. */
export const DECODED_FACTOR = 4
/** Each request takes this much for its answer in advance. The sender asks for memory beyond it. */
const ANSWER_ALLOWANCE_BYTES = 8 * 1024

export class DeliveryMemory {
  readonly requests: ByteBudget
  /** For the sender: the memory of answers that are longer than the allowance. */
  readonly answers: ByteShare
  readonly #readersBytes: number

  /** Requests, answers and read-ahead together take at most `buffersBytes`. */
  constructor(buffersBytes: number) {
    this.requests = new ByteBudget(buffersBytes * REQUESTS_SHARE)
    this.answers = new ByteBudget(buffersBytes * ANSWERS_SHARE).open()
    this.#readersBytes = buffersBytes * READERS_SHARE
  }

  /** The bytes that one partition may be read ahead. Partitions with an open share divide the memory. */
  get readerBytes(): number {
    const part = Math.floor(this.#readersBytes / Math.max(1, this.requests.shares))
    return Math.max(MIN_READER_BYTES, Math.min(MAX_READER_BYTES, part))
  }
}

/**
 * A share of a budget that is opened when it is first needed, since each open share makes the others smaller.
 */
export class LateShare implements Disposable {
  readonly #budget: ByteBudget
  #share: ReturnType<ByteBudget['open']> | null = null

  constructor(budget: ByteBudget) {
    this.#budget = budget
  }

  get opened(): ByteShare {
    this.#share ??= this.#budget.open()
    return this.#share
  }

  [Symbol.dispose](): void {
    this.#share?.[Symbol.dispose]()
  }
}

/** The state of a request that waits to be sent again, without its history. */
const WAITING_BYTES = 1024
/** The state of each row of a waiting request that has several rows. */
const WAITING_ROW_BYTES = 64
/** The outcome of a row in an attempt, without its texts. */
const RESULT_BYTES = 64

/** The memory of one request, from its partition's share, until `done`. */
export class RequestMemory {
  readonly #share: ByteShare
  #bytes: number

  private constructor(share: ByteShare, bytes: number) {
    this.#share = share
    this.#bytes = bytes
  }

  /** Takes memory for a record of `recordBytes` in its topic; returns null if there is not enough now. */
  static tryTake(
    share: ByteShare,
    { record, recordBytes }: { readonly record: Request | Unrenderable; readonly recordBytes: number },
  ): RequestMemory | null {
    const bytes = workBytes(record, recordBytes)
    return share.tryTake(bytes) ? new RequestMemory(share, bytes) : null
  }

  /** Waits until there is memory for the record, and takes it. */
  static async take(
    share: ByteShare,
    {
      record,
      recordBytes,
      signal,
    }: {
      readonly record: Request | Unrenderable
      readonly recordBytes: number
      readonly signal: AbortSignal
    },
  ): Promise<RequestMemory> {
    const bytes = workBytes(record, recordBytes)
    await share.take(bytes, { signal })
    return new RequestMemory(share, bytes)
  }

  /**
   * Keeps only the state of a request that waits to be sent again, which is its rows and its history. Gives
   * back all other memory.
   */
  keepState({ rows, historyBytes }: { readonly rows: number; readonly historyBytes: number }): void {
    const bytes = WAITING_BYTES + rows * WAITING_ROW_BYTES + historyBytes
    this.#share.give(this.#bytes - bytes)
    this.#bytes = bytes
  }

  /**
   * Gives back the memory of the request's body. The rows, and the attempt that is to be written, still take
   * memory.
   */
  answered(record: Request, attempt: UnownedAttempt): void {
    const body = bodyBytes(record)
    const kept = attemptBytes(attempt)
    this.#bytes += kept - body
    if (kept > body) this.#share.add(kept - body)
    else this.#share.give(body - kept)
  }

  /** Gives back all memory, once everything about the request is written. Only the first call counts. */
  done(): void {
    this.#share.give(this.#bytes)
    this.#bytes = 0
  }
}

/** Returns the approximate size of the answer and the row results of an attempt. */
export function attemptBytes({ responseBody, partBody, rows }: UnownedAttempt): number {
  let bytes = (responseBody?.length ?? 0) + (partBody?.length ?? 0)
  for (const { error, captured } of rows)
    bytes += RESULT_BYTES + (error?.length ?? 0) + (captured?.length ?? 0)
  return bytes
}

function workBytes(record: Request | Unrenderable, recordBytes: number): number {
  return bodyBytes(record) + rowsBytes(record, recordBytes) + ANSWER_ALLOWANCE_BYTES
}

function bodyBytes(record: Request | Unrenderable): number {
  return 'body' in record ? (record.body?.length ?? 0) : 0
}

function rowsBytes(record: Request | Unrenderable, recordBytes: number): number {
  return Math.max(0, recordBytes - bodyBytes(record)) * DECODED_FACTOR
}
