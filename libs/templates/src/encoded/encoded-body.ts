/** Writes a body with an outline from rows that are still encoded. */
import type { EncodedRow, RowCursor, RowLayout } from '@sluice/contracts/avro/encoded-row'
import { usualLimits } from '../liquid/limits.ts'
import { TemplateFault } from '../liquid/template-fault.ts'
import { jsonText, printValue } from '../values/print-value.ts'
import { ByteWriter, isPlain } from './byte-writer.ts'
import type { Hole, JsonOutline } from './json-outline.ts'

/** Rendering is synchronous, so that all bodies may use one writer. */
const writer = new ByteWriter()
const encoder = new TextEncoder()
/** Text that may stand in a string of JSON as it is. */
const PLAIN = /^[^"\\\u0000-\u001f\u007f-\uffff]*$/
const NOT_COUNTED = { charge: () => undefined }
const NULL = encoder.encode('null')
const TRUE = encoder.encode('true')
const FALSE = encoder.encode('false')

/** What stands in a hole, and where: the column's number is that of the cursor. */
interface Slot extends Pick<Hole, 'as'> {
  readonly number: number
  /** The text behind the value; for the last one, it depends on the row. */
  readonly behind: Uint8Array | null
}

/**
 * It writes the same bytes as the templates do, or nothing at all: where it cannot be certain of that, the
 * templates have to be rendered.
 */
export class EncodedBody {
  readonly #columns: readonly string[]
  readonly #slots: readonly Slot[]
  readonly #first: Uint8Array
  readonly #joint: Uint8Array
  readonly #last: Uint8Array
  readonly #mustSaySomething: boolean
  #layout: RowLayout | null = null
  #cursor: RowCursor | null = null
  /** Of the body that is being written. */
  #saysSomething = false
  /** How much nested values may still make. */
  #left = 0

  constructor(outline: JsonOutline) {
    const { holes, inner } = outline
    this.#columns = [...new Set(holes.map(({ column }) => column))]
    this.#slots = holes.map(({ column, as }, index) => {
      const behind = inner[index]
      return {
        as,
        number: this.#columns.indexOf(column),
        behind: behind === undefined ? null : encoder.encode(behind),
      }
    })
    this.#first = encoder.encode(outline.first)
    this.#joint = encoder.encode(outline.joint)
    this.#last = encoder.encode(outline.last)
    this.#mustSaySomething = outline.mustSaySomething
  }

  /** The body for these rows, at least one; null if the templates have to be rendered. */
  write(rows: readonly EncodedRow[]): Uint8Array | null {
    const most = usualLimits(0).memory
    this.#saysSomething = !this.#mustSaySomething
    this.#left = most
    writer.begin()
    let before = this.#first
    for (const row of rows) {
      writer.bytes(before)
      // Values count as work, and more would be too much without a closer look.
      if (!this.#row(row) || writer.size > this.#left) return null
      before = this.#joint
    }
    writer.bytes(this.#last)
    return this.#saysSomething && writer.size <= this.#left ? writer.take() : null
  }

  #row(row: EncodedRow): boolean {
    const cursor = this.#cursorOf(row)
    cursor.open(row)
    for (const slot of this.#slots) {
      if (!this.#value(row.bytes, cursor, slot)) return false
      if (slot.behind !== null) writer.bytes(slot.behind)
    }
    return true
  }

  #cursorOf({ layout }: EncodedRow): RowCursor {
    if (this.#cursor !== null && this.#layout === layout) return this.#cursor
    this.#layout = layout
    this.#cursor = layout.cursor(this.#columns)
    return this.#cursor
  }

  #value(bytes: Uint8Array, cursor: RowCursor, { number, as }: Slot): boolean {
    const kind = cursor.kindOf(number)
    // A list or a map may have no value in it.
    if (kind === 'nested') return as === 'json' && this.#json(cursor.value(number))
    if (kind === 'null' || kind === 'missing') {
      if (as === 'printed') return false
      if (as === 'json') writer.bytes(NULL)
    } else if (kind === 'integer') writer.integer(cursor.integer(number))
    else if (kind === 'boolean') writer.bytes(cursor.integer(number) === 0 ? FALSE : TRUE)
    else if (kind === 'scalar') {
      if (!this.#scalar(cursor.value(number), as)) return false
    } else {
      const start = cursor.textStart(number)
      const end = cursor.textEnd
      if (as === 'json') {
        if (!writer.jsonText(bytes, start, end)) return false
      } else {
        if (as === 'printed' || !isPlain(bytes, start, end)) return false
        writer.bytes(bytes.subarray(start, end))
      }
    }
    // A text around it says so by itself, unless that is the name of a member, which says nothing.
    if (as !== 'in string') this.#saysSomething = true
    return true
  }

  #scalar(value: unknown, as: Hole['as']): boolean {
    if (as === 'json') return this.#json(value)
    if (as === 'printed') return false
    const text = printValue(value, NOT_COUNTED)
    if (!PLAIN.test(text)) return false
    writer.text(text)
    return true
  }

  /** False for a value that is not to be written, with its reason in the templates' fault. */
  #json(value: unknown): boolean {
    try {
      writer.text(jsonText(value, { charge: count => (this.#left -= count) }))
      return true
    } catch (error) {
      if (error instanceof TemplateFault) return false
      throw error
    }
  }
}
