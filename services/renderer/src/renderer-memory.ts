/**
 * What the renderer keeps in memory, over all partitions of a process (PROTOCOL.md §7): changes that are read
 * ahead, the rows of open batches, and requests that are not acknowledged yet. The limits are in bytes. They
 * never depend on how many partitions there are, or how large a batch may become.
 */
import { ByteBudget } from '@sluice/flow/byte-budget'
import { Slots } from '@sluice/flow/slots'
import { BATCH_CEILING_BYTES } from '@sluice/templates/rendering/row-batches'

const READERS_SHARE = 0.125
const OUTPUT_SHARE = 0.25
const BATCHES_SHARE = 0.25
/** Most that is read ahead for one partition, and least. */
const MAX_READER_BYTES = 1024 * 1024
const MIN_READER_BYTES = 64 * 1024
/** What a partition may always have in its open batch, as it stands in the topic. */
const MIN_BATCH_BYTES = 256 * 1024
/**
 * Rows are objects once they are decoded, with two bytes for each character as soon as one is beyond Latin-1.
 */
const DECODED_FACTOR = 2
/** A large batch whose rest does not come delays no other large batch for longer. */
const OVERDUE_MS = 5_000

/** The memory, as the renderer of one partition sees it. */
export interface RenderRoom extends Pick<RendererMemory, 'output' | 'readerBytes' | 'batchBytes'> {
  readonly largeBatches: Pick<Slots, 'tryTake' | 'take'>
}

export class RendererMemory {
  /** Requests that are rendered and not acknowledged. */
  readonly output: ByteBudget
  /** Permission for a batch, or a row, that is larger than `batchBytes`. So many may be open at once. */
  readonly largeBatches: Slots
  readonly #readersBytes: number
  readonly #batchesBytes: number

  /** `buffersBytes` is what all of it may take. */
  constructor(buffersBytes: number) {
    this.output = new ByteBudget(buffersBytes * OUTPUT_SHARE)
    this.#readersBytes = buffersBytes * READERS_SHARE
    this.#batchesBytes = (buffersBytes * BATCHES_SHARE) / DECODED_FACTOR
    const most = Math.max(1, Math.floor(this.#batchesBytes / BATCH_CEILING_BYTES))
    this.largeBatches = new Slots({ most, overdueMs: OVERDUE_MS })
  }

  /**
   * How far a partition may be read ahead, in bytes. The memory is divided among the partitions whose share
   * of the output is open.
   */
  get readerBytes(): number {
    const part = Math.floor(this.#readersBytes / this.#partitions)
    return Math.max(MIN_READER_BYTES, Math.min(MAX_READER_BYTES, part))
  }

  /** What a partition may have in its open batch without asking, in bytes of the topic. */
  get batchBytes(): number {
    return Math.max(MIN_BATCH_BYTES, Math.floor(this.#batchesBytes / this.#partitions))
  }

  get #partitions(): number {
    return Math.max(1, this.output.shares)
  }
}
