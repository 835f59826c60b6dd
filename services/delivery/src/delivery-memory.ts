/**
 * What delivery keeps in memory, over all partitions of a process (PROTOCOL.md §8). It keeps requests from
 * when they are taken into work until their answers are written. It also keeps what it is reading of requests
 * and answers. The limits are in bytes, and never depend on how many requests may be in flight.
 */
import { ByteBudget, type ByteShare } from '@sluice/flow/byte-budget'
import type { Request, Unrenderable } from '@sluice/contracts/records'
import type { Care } from '@sluice/partition/deaths/count-deaths'
import type { UnownedAttempt } from './ledger/request-history.ts'
import type { Target } from './destination/target.ts'
import type { AttemptLedger } from './ledger/attempt-ledger.ts'

/** From the lowest unfinished request to the newest one that is taken from the topic. */
const WINDOW_REQUESTS = 10_000
const ACTIVE_PER_SLOT = 4
const ACTIVE_LEAST = 64
const UNSEEN_PER_SLOT = 2

type Concurrency = Pick<Target, 'concurrency'>
type Announcing = Pick<Target, 'concurrency' | 'atMostOnce'>

/**
 * The most requests of the window that are ready, sent or not yet acknowledged (PROTOCOL.md §8, _How much is
 * in work_). The others wait, or are done.
 */
export function activeLimit({ concurrency }: Concurrency): number {
  return Math.max(ACTIVE_LEAST, Math.min(concurrency, WINDOW_REQUESTS) * ACTIVE_PER_SLOT)
}

/**
 * Most requests that a process may have sent of which its ledger knows nothing (R7). Null: none, and no
 * further try of a request that the ledger knows, since each is announced.
 */
export function unseenLimit({ concurrency, atMostOnce }: Announcing): number | null {
  return atMostOnce ? null : Math.min(concurrency * UNSEEN_PER_SLOT, WINDOW_REQUESTS)
}

type Taking = Parameters<typeof RequestMemory.take>[1]

interface Open {
  readonly care: Care
  readonly target: Target
  readonly sending: { readonly waiting: number }
}

export class WorkRoom {
  readonly #ledger: AttemptLedger
  readonly #share: ByteShare

  constructor(of: { readonly ledger: AttemptLedger; readonly share: ByteShare }) {
    this.#ledger = of.ledger
    this.#share = of.share
  }

  /** The memory for a record, if few enough are in work, and there is memory for it now; else null. */
  tryTake(open: Open, of: Omit<Taking, 'signal'>): RequestMemory | null {
    if (this.#ledger.failure.aborted || !this.#hasRoom(open)) return null
    return RequestMemory.tryTake(this.#share, of)
  }

  /** Waits for it. Rejects with the failure of the ledger, and when aborted. */
  async take(open: Open, of: Taking): Promise<RequestMemory> {
    await this.#ledger.room(() => this.#hasRoom(open), of)
    return await RequestMemory.take(this.#share, of)
  }

  /** Requests that wait for their next try count only for the window. */
  #hasRoom({ care, sending, target }: Open): boolean {
    const { window, unfinished } = this.#ledger
    const active = activeLimit(target)
    const most = care.isOneByOne(active) ? 1 : active
    return window < WINDOW_REQUESTS && unfinished - sending.waiting < most
  }
}

const REQUESTS_SHARE = 0.5
const ANSWERS_SHARE = 0.25
const READERS_SHARE = 0.25
/** Most that is read ahead for one partition, and least. */
const MAX_READER_BYTES = 1024 * 1024
const MIN_READER_BYTES = 64 * 1024
/** Rows are objects once they are decoded. They take so many times the bytes that they take in the topic. */
export const DECODED_FACTOR = 4
/** What a sender may keep of an answer before it asks for memory. Each request takes so much in advance. */
const ANSWER_ALLOWANCE_BYTES = 8 * 1024

export class DeliveryMemory {
  readonly requests: ByteBudget
  /** For the sender: the memory of answers that are longer than the allowance. */
  readonly answers: ByteShare
  readonly #readersBytes: number

  /** `buffersBytes` is what all of it may take. */
  constructor(buffersBytes: number) {
    this.requests = new ByteBudget(buffersBytes * REQUESTS_SHARE)
    this.answers = new ByteBudget(buffersBytes * ANSWERS_SHARE).open()
    this.#readersBytes = buffersBytes * READERS_SHARE
  }

  /**
   * How far a partition may be read ahead, in bytes. The memory is divided among the partitions whose share
   * is open.
   */
  get readerBytes(): number {
    const part = Math.floor(this.#readersBytes / Math.max(1, this.requests.shares))
    return Math.max(MIN_READER_BYTES, Math.min(MAX_READER_BYTES, part))
  }
}

/** A share of a budget that is opened once it is needed, since each that is open makes the others smaller. */
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

/** What is known of a request that waits for its next try, beside its history. */
const WAITING_BYTES = 1024
/** What is known of each row of a batch that goes on in parts. */
const WAITING_ROW_BYTES = 64
/** What an attempt takes for each row with an outcome of its own, without its texts. */
const RESULT_BYTES = 64

/** What one request takes of its partition's share, until `done`. */
export class RequestMemory {
  readonly #share: ByteShare
  #bytes: number

  private constructor(share: ByteShare, bytes: number) {
    this.#share = share
    this.#bytes = bytes
  }

  /** Takes room for a record that takes `recordBytes` in its topic; null if there is none now. */
  static tryTake(
    share: ByteShare,
    of: { readonly record: Request | Unrenderable; readonly recordBytes: number },
  ): RequestMemory | null {
    const bytes = workBytes(of.record, of.recordBytes)
    return share.tryTake(bytes) ? new RequestMemory(share, bytes) : null
  }

  /** Waits for that room. */
  static async take(
    share: ByteShare,
    of: {
      readonly record: Request | Unrenderable
      readonly recordBytes: number
      readonly signal: AbortSignal
    },
  ): Promise<RequestMemory> {
    const bytes = workBytes(of.record, of.recordBytes)
    await share.take(bytes, of)
    return new RequestMemory(share, bytes)
  }

  /**
   * It waits for its next try. Of all that it took, only what is known of it is still in memory: of so many
   * rows, and its history.
   */
  waits({ rows, historyBytes }: { readonly rows: number; readonly historyBytes: number }): void {
    const bytes = WAITING_BYTES + rows * WAITING_ROW_BYTES + historyBytes
    this.#share.give(this.#bytes - bytes)
    this.#bytes = bytes
  }

  /**
   * Gives the memory of its body back, which is needed no more. Its rows, and the attempt that is to be
   * written, still take memory.
   */
  answered(record: Request, attempt: UnownedAttempt): void {
    const body = bodyBytes(record)
    const kept = attemptBytes(attempt)
    this.#bytes += kept - body
    if (kept > body) this.#share.add(kept - body)
    else this.#share.give(body - kept)
  }

  /** Everything about the request is written. Only the first call counts. */
  done(): void {
    this.#share.give(this.#bytes)
    this.#bytes = 0
  }
}

/** What an attempt says of its answer, and of its rows. */
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
