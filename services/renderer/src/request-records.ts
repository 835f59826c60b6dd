/** Makes the records of a run's requests. */
import type { Request } from '@sluice/contracts/records'
import { boundedText } from '@sluice/domain/bounded-text'
import { ERROR_BYTES } from '@sluice/domain/record-sizes'
import type { NewRecord } from '@sluice/message-log/port'
import type { Rendered } from '@sluice/templates/rendering/render-batch'
import type { RowBatch } from '@sluice/templates/rendering/row-batches'
import type { RecordIo } from '@sluice/topics/record-io'
import { textKey } from '@sluice/topics/topics'

type SharedFields = Pick<Request, 'incarnation' | 'owner' | 'run' | 'begin'>

export class RequestRecords {
  /** The seq of the next request. */
  nextSeq = 0
  readonly #io: RecordIo
  /** The fields that all records of one owner in a run share. */
  readonly shared: SharedFields
  readonly #keyStart: string

  constructor(io: RecordIo, partition: number, shared: SharedFields) {
    this.#io = io
    this.shared = shared
    this.#keyStart = `${shared.run}/${partition}/`
  }

  /** Makes the record of a request, or of rows that cannot be rendered. It takes the next seq. */
  make(batch: RowBatch, rendered: Rendered): NewRecord {
    const seq = this.nextSeq++
    const { incarnation, owner, run, begin } = this.shared
    const { rows } = rendered
    const { op: trigger, start: changesStart, end: changesEnd } = batch
    const place = { incarnation, owner, run, begin, seq, trigger, rows, changesStart, changesEnd }
    if (rendered.kind === 'unrenderable') {
      const { lacks } = rendered
      const error = boundedText(rendered.error, ERROR_BYTES)
      return { key: this.#keyOf(seq), value: this.#io.encode('Unrenderable', { ...place, error, lacks }) }
    }
    const { method, path, headers, body } = rendered
    const own = { method, path, headers, body, replayOf: null }
    const value = this.#io.encode('Request', { ...place, ...own })
    return { key: this.#keyOf(seq), value }
  }

  /** Makes the record of a replayed request, from the change at `offset`. It takes the next seq. */
  makeReplayed(recorded: Request, offset: number): NewRecord {
    const seq = this.nextSeq++
    const place = { ...this.shared, seq, changesStart: offset, changesEnd: offset + 1 }
    return { key: this.#keyOf(seq), value: this.#io.encode('Request', { ...recorded, ...place }) }
  }

  #keyOf(seq: number): Uint8Array {
    return textKey(this.#keyStart + String(seq))
  }
}
