/**
 * Commits the position of a worker, so that tools which watch consumer groups show its lag. No stage relies
 * on it: a successor finds its position in its own output (PROTOCOL.md §5). A reader of a shared topic begins
 * at the committed position, which only saves reading.
 */
import { abortable } from '@sluice/flow/abortable'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { Worker } from './own-partitions.ts'

const EVERY_MS = 5_000
/** A worker with nothing left to do waits at most this long for its last commit. */
const LAST_WITHIN_MS = 1_000

export interface HintOptions {
  /** The next offset that is not done; null while it is not known yet. */
  readonly position: () => number | null
  /** Called with each round, for other reports on the partition. */
  readonly onRound?: () => Promise<void>
}

/**
 * Committing never fails, and delays nothing. Disposing commits the last position, unless that takes longer
 * than a second. Without this last commit, tools would show a lag until the next run.
 */
export class PositionHints implements AsyncDisposable {
  readonly #worker: Pick<Worker, 'target' | 'membership' | 'abort'>
  readonly #options: HintOptions
  readonly #ended = new AbortController()
  readonly #timer: NodeJS.Timeout
  #committed = -1
  /** The round under way. */
  #round: Promise<void> | null = null

  constructor(worker: Pick<Worker, 'target' | 'membership' | 'abort'>, options: HintOptions) {
    this.#worker = worker
    this.#options = options
    this.#timer = setInterval(() => this.now(), EVERY_MS)
  }

  /** Commits at once, as at the end of a run. If a commit is under way, the next round commits. */
  now(): void {
    if (this.#round !== null || this.#ended.signal.aborted) return
    this.#round = this.#commit()
      .then(() => this.#options.onRound?.())
      .catch(() => undefined)
      .finally(() => (this.#round = null))
  }

  async #commit(): Promise<void> {
    const { target, membership } = this.#worker
    const position = this.#options.position()
    if (position === null || position === this.#committed) return
    if (await membership.commit(target, position, { signal: this.#ended.signal })) this.#committed = position
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    const end = (): void => this.#ended.abort(new Error('the worker has ended'))
    const late = setTimeout(end, LAST_WITHIN_MS)
    const signal = AbortSignal.any([this.#ended.signal, this.#worker.abort])
    await abortable(this.#last(signal), { signal }).catch(() => undefined)
    clearTimeout(late)
    end()
  }

  async #last(signal: AbortSignal): Promise<void> {
    await this.#round
    if (!signal.aborted) await this.#commit()
  }
}

/**
 * Returns where to begin to read a shared topic, and the topic's end. The beginning is the hint of the last
 * owner, moved into the topic's range. A hint may be missing, older than the first record, or of a topic that
 * was made again, so nothing relies on it.
 */
export async function hintedStart(
  log: MessageLog,
  { group, target }: { readonly group: string; readonly target: TopicPartition },
  signal: AbortSignal,
): Promise<{ readonly from: number; readonly end: number }> {
  const { low, end } = await log.offsets(target, { signal })
  const hints = await log.committed(group, target.topic, { signal })
  return { from: Math.min(Math.max(hints[target.partition] ?? low, low), end), end }
}
