/** Encoded changes of rows that came by column, which wait until they are appended to their partition. */
import type { ColumnRows } from '@sluice/contracts/column-values'
import type { RecordBlock } from '@sluice/message-log/port'
import type { ChangeFrame, RowsEncoder } from '@sluice/schema-codec/port'

/** The limits of an append. One change alone may have more bytes. */
const APPEND_ROWS = 1000
const APPEND_BYTES = 256 * 1024
/** The bytes of a buffer: the bytes of an append, and room for the change that exceeds its limit. */
const BUFFER_BYTES = APPEND_BYTES + 32 * 1024
/** Up to this many buffers are kept for later appends. */
const MAX_SPARE_BUFFERS = 8

interface RowBuffers {
  readonly bytes: Uint8Array
  readonly lengths: Uint32Array
}

/** Buffers whose appends are settled. All partitions of a run share them. */
export class SpareRowBuffers {
  readonly #spare: RowBuffers[] = []

  take(): RowBuffers {
    return (
      this.#spare.pop() ?? {
        bytes: Buffer.allocUnsafeSlow(BUFFER_BYTES),
        lengths: new Uint32Array(APPEND_ROWS * 2),
      }
    )
  }

  give(buffers: RowBuffers): void {
    if (buffers.bytes.length === BUFFER_BYTES && this.#spare.length < MAX_SPARE_BUFFERS)
      this.#spare.push(buffers)
  }
}

export class PendingRows {
  readonly #spare: SpareRowBuffers
  #buffers: RowBuffers | null = null
  #end = 0
  #count = 0

  constructor(spare: SpareRowBuffers) {
    this.#spare = spare
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  get isFull(): boolean {
    return this.#count >= APPEND_ROWS || this.#end >= APPEND_BYTES
  }

  /** Adds the change of one row, under the row's key. */
  add(added: {
    readonly rows: ColumnRows
    readonly encoder: RowsEncoder
    readonly frame: ChangeFrame
    readonly row: number
    readonly seq: number
  }): void {
    const { encoder, frame, row } = added
    const { keys } = added.rows
    const keyBytes = keys.lengths[row] ?? 0
    const { bytes, lengths } = this.#roomFor(keyBytes + encoder.maxBytes(frame, row))
    const start = keys.starts[row] ?? 0
    const valueAt = this.#end + keyBytes
    for (let i = 0; i < keyBytes; i += 1) bytes[this.#end + i] = keys.bytes[start + i] ?? 0
    this.#end = encoder.write(bytes, valueAt, added)
    lengths[this.#count * 2] = keyBytes
    lengths[this.#count * 2 + 1] = this.#end - valueAt
    this.#count += 1
  }

  #roomFor(bytes: number): RowBuffers {
    const buffers = (this.#buffers ??= this.#spare.take())
    if (buffers.bytes.length - this.#end >= bytes) return buffers
    const larger = Buffer.allocUnsafeSlow(this.#end + bytes)
    larger.set(buffers.bytes.subarray(0, this.#end))
    this.#buffers = { bytes: larger, lengths: buffers.lengths }
    return this.#buffers
  }

  /**
   * Returns all changes since the last call. The caller calls `settled` when it needs their bytes no more.
   */
  take(): { readonly block: RecordBlock; readonly settled: () => void } {
    const buffers = this.#buffers ?? this.#spare.take()
    const { bytes, lengths } = buffers
    const block = { bytes: bytes.subarray(0, this.#end), lengths: lengths.subarray(0, this.#count * 2) }
    this.#buffers = null
    this.#end = 0
    this.#count = 0
    return { block, settled: () => this.#spare.give(buffers) }
  }
}
