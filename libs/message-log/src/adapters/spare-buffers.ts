/**
 * Buffers of batches that the log has taken, for later batches. V8 collects garbage each time that some tens
 * of megabytes of buffers were made, however small its heap is: a new buffer for each batch of a million rows
 * is half of what their producer costs.
 */

/** The most bytes that are kept, and the sizes that are worth it. */
const KEPT_BYTES = 4 * 1024 * 1024
const LEAST_BYTES = 32 * 1024
const MOST_BYTES = 1024 * 1024

export class SpareBuffers {
  readonly #isShared: boolean
  #kept: Buffer[] = []
  #bytes = 0

  /** With `shared`, other threads may read those that are kept. */
  constructor({ shared = false }: { readonly shared?: boolean } = {}) {
    this.#isShared = shared
  }

  /** A buffer of at least this size, with anything in it. */
  take(bytes: number): Buffer {
    const index = this.#kept.findIndex(({ length }) => length >= bytes && length <= 2 * bytes)
    const [found] = index < 0 ? [] : this.#kept.splice(index, 1)
    if (found === undefined)
      return bytes < LEAST_BYTES ? Buffer.allocUnsafe(bytes) : this.#make(roundedUp(bytes))
    this.#bytes -= found.length
    return found
  }

  #make(bytes: number): Buffer {
    return this.#isShared ? Buffer.from(new SharedArrayBuffer(bytes)) : Buffer.allocUnsafeSlow(bytes)
  }

  /** Takes a buffer back that nobody reads or writes any more. */
  give(buffer: Buffer): void {
    if (buffer.length < LEAST_BYTES || buffer.length > MOST_BYTES) return
    this.#kept.push(buffer)
    this.#bytes += buffer.length
    while (this.#bytes > KEPT_BYTES) this.#bytes -= this.#kept.shift()?.length ?? 0
  }
}

/** So that batches of about the same size share buffers. */
function roundedUp(bytes: number): number {
  const step = 64 * 1024
  return Math.ceil(bytes / step) * step
}
