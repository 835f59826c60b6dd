/** Changes of rows that came by column, encoded, until they are appended to their partition. */
import type { ColumnRows } from '@sluice/contracts/column-values'
import type { RecordBlock } from '@sluice/message-log/port'
import type { ChangeFrame, RowsEncoder } from '@sluice/schema-codec/port'

/** The most of an append, unless one change alone has more bytes. */
const APPEND_ROWS = 1000
const APPEND_BYTES = 256 * 1024
/** The bytes of a buffer: an append, and the change with which it comes to its limit. */
const BUFFER_BYTES = APPEND_BYTES + 32 * 1024
/** Buffers that are kept for later appends. */
const SPARE_BUFFERS = 8

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
    if (buffers.bytes.length === BUFFER_BYTES && this.#spare.length < SPARE_BUFFERS) this.#spare.push(buffers)
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

  /** Adds the change of one row. Its key is the key of its record, too. */
  add(of: {
    readonly rows: ColumnRows
    readonly encoder: RowsEncoder
    readonly frame: ChangeFrame
    readonly row: number
    readonly seq: number
  }): void {
    const { keys } = of.rows
    const keyBytes = keys.lengths[of.row] ?? 0
    const { bytes, lengths } = this.#roomFor(keyBytes + of.encoder.mostBytes(of.frame, of.row))
    const start = keys.starts[of.row] ?? 0
    const valueAt = this.#end + keyBytes
    for (let i = 0; i < keyBytes; i += 1) bytes[this.#end + i] = keys.bytes[start + i] ?? 0
    this.#end = of.encoder.write(bytes, valueAt, of)
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

  /** All that was added since the last call. Once `settled` is called, its buffers serve others. */
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
