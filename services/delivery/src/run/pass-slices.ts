/**
 * Passes the ends of slices on to `retry`, in a run over a stream. Once the detector reads the end of a slice
 * there, it has read the effects of all requests before it, and may send the keys of the slice again.
 *
 * States of an end: it waits → it is passed on, or a later one is, which stands for it. An owner may have
 * died before it passed an end on. So its successor begins with the last end before the offset where it goes
 * on. The detector skips an end that it has read before.
 */
import type { Slice } from '@sluice/contracts/records'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { Ownership } from '@sluice/partition/take-over'
import { isTakeover, readOwnBackwards, type OwnRecord } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { sliceKey } from '@sluice/topics/topics'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'

/**
 * The most ends that wait, an even number. With more, every second one is dropped, since a later one stands
 * for it. So a slice that is not the newest may be passed on a little later.
 */
const MAX_WAITING = 4_096

interface PassingParts {
  readonly io: RecordIo
  readonly ownership: Ownership
  readonly ledger: Pick<AttemptLedger, 'position' | 'attemptsEnd' | 'room' | 'changes'>
  readonly retry: TopicPartition
  readonly abort: AbortSignal
}

interface WaitingEnd {
  /** Its place in `requests`. All requests below it have to be finished. */
  readonly offset: number
  readonly slice: Slice
}

export class PassedSlices {
  readonly #parts: PassingParts
  /** Resolves once no request of a predecessor can arrive any more. */
  readonly #noneIsLate: (signal: AbortSignal) => Promise<void>
  #waiting: WaitingEnd[] = []
  /** The last end that was passed on. */
  #last: Pick<Slice, 'run' | 'slice'> | null = null
  #isPassing = false

  constructor(parts: PassingParts, noneIsLate: (signal: AbortSignal) => Promise<void>) {
    this.#parts = parts
    this.#noneIsLate = noneIsLate
  }

  /** True while somebody waits for requests to be finished. */
  get isAwaited(): boolean {
    return this.#waiting.length > 0
  }

  /** The number of the run's last slice that was passed on; null if there is none. */
  lastOf(run: number): number | null {
    return this.#last?.run === run ? this.#last.slice : null
  }

  /** Takes the end of a slice at this offset of `requests`. Offsets must rise. */
  take(offset: number, slice: Slice): void {
    this.#waiting.push({ offset, slice })
    if (this.#waiting.length > MAX_WAITING)
      // The first is kept, and the newest, which no later one stands for.
      this.#waiting = this.#waiting.filter((_, index) => index % 2 === 0)
    this.#parts.ledger.changes.notify()
  }

  /** Forgets the ends that wait, since their run has ended. */
  clear(): void {
    this.#waiting = []
  }

  /**
   * Waits until all ends are passed on. All requests before them must be finished. Throws the failure of the
   * ledger.
   */
  async done(options: { readonly signal: AbortSignal }): Promise<void> {
    await this.#parts.ledger.room(() => !this.isAwaited && !this.#isPassing, options)
  }

  /** Passes ends on until aborted. Rejects as the log does, and with the failure of the ledger. */
  async passOn(signal: AbortSignal): Promise<void> {
    const { ledger } = this.#parts
    while (!signal.aborted)
      try {
        await ledger.room(() => this.#isDue(), { signal })
        await this.#noneIsLate(signal)
        await this.#passNewest()
      } catch (error) {
        if (!signal.aborted) throw error
      }
  }

  #isDue(): boolean {
    const [first] = this.#waiting
    return first !== undefined && first.offset <= this.#parts.ledger.position
  }

  /** Passes on the newest end that is due, which stands for those before it. */
  async #passNewest(): Promise<void> {
    const { io, ownership, ledger, retry, abort: signal } = this.#parts
    const { position } = ledger
    const newest = this.#waiting.findLastIndex(({ offset }) => offset <= position)
    const end = this.#waiting[newest]
    // The run may have ended meanwhile.
    if (end === undefined) return
    this.#waiting.splice(0, newest + 1)
    const { run, slice, committedAt } = end.slice
    const value = io.encode('Slice', {
      ...{ incarnation: ownership.incarnation, owner: ownership.markerOffset(retry) },
      ...{ run, slice, begin: null, count: null, position: null, input: null, committedAt },
      requestsEnd: end.offset + 1,
      attemptsEnd: ledger.attemptsEnd,
    })
    this.#isPassing = true
    await ownership
      .append(retry, [{ key: sliceKey(retry.partition), value }], { signal })
      .finally(() => (this.#isPassing = false))
    this.#last = { run, slice }
    ledger.changes.notify()
  }
}

/**
 * Returns the last end of a slice before this offset of `requests`, if it belongs to a run that goes on; else
 * null. `isStream` says whether a run over a stream begins at an offset. Rejects as the log does.
 */
export async function sliceBefore(
  offset: number,
  reading: {
    readonly log: MessageLog
    readonly io: RecordIo
    readonly incarnation: string
    readonly target: TopicPartition
    readonly isStream: (begin: number) => Promise<boolean>
    readonly signal: AbortSignal
  },
): Promise<OwnRecord | null> {
  let isKnown = false
  for await (const placed of readOwnBackwards({ ...reading, stage: 'requests', before: offset })) {
    const { record } = placed
    if (record.name === 'sluice.Slice') return placed
    if (isTakeover(record)) continue
    // Without a slice, a run over a table would be read to its begin.
    if (record.name !== 'sluice.Request' && record.name !== 'sluice.Unrenderable') return null
    isKnown ||= await reading.isStream(record.value.begin)
    if (!isKnown) return null
  }
  return null
}
