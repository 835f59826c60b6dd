/**
 * Limits the renderer's memory, over all partitions of a process (PROTOCOL.md §7): changes that are read
 * ahead, the rows of open batches, and requests that are not acknowledged yet. The limits are in bytes. They
 * do not depend on the number of partitions, or on the size of a batch.
 */
import { ByteBudget } from '@sluice/flow/byte-budget'
import { Slots } from '@sluice/flow/slots'
import { BATCH_CEILING_BYTES } from '@sluice/templates/rendering/row-batches'

const READERS_SHARE = 0.125
const OUTPUT_SHARE = 0.25
const BATCHES_SHARE = 0.25
/** Bounds of the bytes that are read ahead for one partition. */
const MAX_READER_BYTES = 1024 * 1024
const MIN_READER_BYTES = 64 * 1024
/** A partition may always have this many bytes of the topic in its open batch. */
const MIN_BATCH_BYTES = 256 * 1024
/** Decoded rows are larger: a text takes two bytes for each character as soon as one is beyond Latin-1. */
const DECODED_FACTOR = 2
/** A large batch whose rest does not arrive delays other large batches for at most this long. */
const OVERDUE_MS = 5_000

/** The part of the memory that the renderer of one partition uses. */
export interface RenderRoom extends Pick<RendererMemory, 'output' | 'readerBytes' | 'batchBytes'> {
  readonly largeBatches: Pick<Slots, 'tryTake' | 'take'>
}

export class RendererMemory {
  /** Requests that are rendered and not acknowledged. */
  readonly output: ByteBudget
  /** Permissions for batches, or rows, that are larger than `batchBytes`. */
  readonly largeBatches: Slots
  readonly #readersBytes: number
  readonly #batchesBytes: number

  /** All partitions together use at most `buffersBytes`. */
  constructor(buffersBytes: number) {
    this.output = new ByteBudget(buffersBytes * OUTPUT_SHARE)
    this.#readersBytes = buffersBytes * READERS_SHARE
    this.#batchesBytes = (buffersBytes * BATCHES_SHARE) / DECODED_FACTOR
    const most = Math.max(1, Math.floor(this.#batchesBytes / BATCH_CEILING_BYTES))
    this.largeBatches = new Slots({ most, overdueMs: OVERDUE_MS })
  }

  /**
   * The bytes that may be read ahead for a partition. All partitions with an open share divide the memory.
   */
  get readerBytes(): number {
    const part = Math.floor(this.#readersBytes / this.#partitions)
    return Math.max(MIN_READER_BYTES, Math.min(MAX_READER_BYTES, part))
  }

  /** The bytes of the topic that a partition may have in its open batch without a permission. */
  get batchBytes(): number {
    return Math.max(MIN_BATCH_BYTES, Math.floor(this.#batchesBytes / this.#partitions))
  }

  get #partitions(): number {
    return Math.max(1, this.output.shares)
  }
}
