/**
 * Buffers of batches that the log has taken, for later batches. V8 collects garbage each time that some tens
 * of megabytes of buffers were made, however small its heap is: a new buffer for each batch of a million rows
 * is half of what their producer costs.
 */

/** The most bytes that are kept, and the sizes that are worth it. */
const KEPT_BYTES = 4 * 1024 * 1024
const LEAST_BYTES = 32 * 1024
const MAX_BYTES = 1024 * 1024
/** After so many buffers of a size that is not kept, the oldest shared one makes room for such a size. */
const MISSES = 64

export class SpareBuffers {
  readonly #isShared: boolean
  #kept: Buffer[] = []
  #bytes = 0
  /** Of all shared buffers, whether they are kept or in use. */
  #sharedBytes = 0
  #misses = 0

  /**
   * With `shared`, other threads may read those that are kept. V8 does not count such memory as a reason to
   * collect garbage, and frees it only once each thread has collected what knew it. So there is no more of it
   * than is kept. All other buffers are ordinary ones, to be moved to the thread that reads them.
   */
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
    if (!this.#isShared || bytes > MAX_BYTES || !this.#hasRoom(bytes)) return Buffer.allocUnsafeSlow(bytes)
    this.#sharedBytes += bytes
    return Buffer.from(new SharedArrayBuffer(bytes))
  }

  #hasRoom(bytes: number): boolean {
    if (this.#sharedBytes + bytes <= KEPT_BYTES) return true
    this.#misses += 1
    const oldest = this.#misses % MISSES === 0 ? this.#kept.shift() : undefined
    if (oldest === undefined) return false
    this.#bytes -= oldest.length
    this.#sharedBytes -= oldest.length
    return this.#sharedBytes + bytes <= KEPT_BYTES
  }

  /** Takes a buffer back that nobody reads or writes any more. */
  give(buffer: Buffer): void {
    if (buffer.length < LEAST_BYTES || buffer.length > MAX_BYTES) return
    if (this.#isShared && !isShared(buffer)) return
    this.#kept.push(buffer)
    this.#bytes += buffer.length
    while (this.#bytes > KEPT_BYTES) this.#bytes -= this.#kept.shift()?.length ?? 0
  }
}

export function isShared({ buffer }: Uint8Array): boolean {
  return buffer instanceof SharedArrayBuffer
}

/**
 * True for a buffer that has its memory for itself, so that it may be moved to another thread. Node cuts
 * smaller ones out of memory that they share.
 */
export function isOwn(data: Uint8Array): data is Uint8Array<ArrayBuffer> {
  return !isShared(data) && data.length >= LEAST_BYTES
}

/** So that batches of about the same size share buffers. */
function roundedUp(bytes: number): number {
  const step = 64 * 1024
  return Math.ceil(bytes / step) * step
}
