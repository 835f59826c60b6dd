/**
 * Keeps the buffers of batches that the log has taken, for later batches. V8 collects garbage after every few
 * tens of megabytes of new buffers, however small its heap is. For a million rows, new buffers for all
 * batches took half of the producer's CPU time.
 */

/** At most this many bytes are kept, in buffers of these sizes. */
const KEPT_BYTES = 4 * 1024 * 1024
const LEAST_BYTES = 32 * 1024
const MAX_BYTES = 1024 * 1024
/**
 * After this many requests for a size that is not kept, the oldest shared buffer makes room for that size.
 */
const MISSES = 64

export class SpareBuffers {
  readonly #isShared: boolean
  #kept: Buffer[] = []
  #bytes = 0
  /** The bytes of all shared buffers, both kept and in use. */
  #sharedBytes = 0
  #misses = 0

  /**
   * With `shared`, kept buffers are shared memory, which other threads may read. V8 does not collect garbage
   * because of shared memory, and frees it only once every thread has collected its references. So shared
   * buffers never take more than `KEPT_BYTES`. All other buffers are ordinary, and move to the thread that
   * reads them.
   */
  constructor({ shared = false }: { readonly shared?: boolean } = {}) {
    this.#isShared = shared
  }

  /** Returns a buffer of at least this size, with arbitrary content. */
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

  /** Takes back a buffer that nobody uses any more. */
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
 * True for a buffer with memory of its own, which may move to another thread. Node takes smaller buffers from
 * a pool.
 */
export function isOwn(data: Uint8Array): data is Uint8Array<ArrayBuffer> {
  return !isShared(data) && data.length >= LEAST_BYTES
}

/** Rounds up, so that batches of about the same size share buffers. */
function roundedUp(bytes: number): number {
  const step = 64 * 1024
  return Math.ceil(bytes / step) * step
}
