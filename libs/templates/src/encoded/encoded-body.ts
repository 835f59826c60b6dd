/** Writes a body with an outline from rows that are still encoded. */
import type { EncodedRow, RowCursor, RowLayout } from '@sluice/contracts/avro/encoded-row'
import { usualLimits } from '../liquid/limits.ts'
import { TemplateFault } from '../liquid/template-fault.ts'
import { NOT_COUNTED, jsonText, printValue } from '../values/print-value.ts'
import { ByteWriter, needsNoEscape } from './byte-writer.ts'
import type { Hole, JsonOutline } from './json-outline.ts'

/** All bodies share one writer, since writing a body is synchronous. */
const writer = new ByteWriter()
const encoder = new TextEncoder()
/** ASCII text that needs no escape in a string of JSON. */
const PLAIN = /^[^"\\\u0000-\u001f\u007f-\uffff]*$/
const NULL = encoder.encode('null')
const TRUE = encoder.encode('true')
const FALSE = encoder.encode('false')

/** A hole of the outline, ready to be written. */
interface Slot extends Pick<Hole, 'as'> {
  /** The number of the column in the cursor. */
  readonly number: number
  /** The text behind the value; null for the last one, behind which a row or the body ends. */
  readonly behind: Uint8Array | null
}

/**
 * Writes the same bytes as the templates would. Where that is not certain, it writes nothing, and the caller
 * renders the templates.
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
  /** True once the body so far says something of its rows, or if it need not. */
  #saysSomething = false
  /** The number of characters that nested values may still make, as templates count work. */
  #memoryLeft = 0

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

  /** Writes the body for one row or more. Returns null if the templates have to be rendered instead. */
  write(rows: readonly EncodedRow[]): Uint8Array | null {
    this.#saysSomething = !this.#mustSaySomething
    this.#memoryLeft = usualLimits(0).memory
    writer.begin()
    let before = this.#first
    for (const row of rows) {
      writer.bytes(before)
      // For so large a body, rendering might stop at a limit of work. So the caller has to render the
      // templates.
      if (!this.#row(row) || writer.size > this.#memoryLeft) return null
      before = this.#joint
    }
    writer.bytes(this.#last)
    return this.#saysSomething && writer.size <= this.#memoryLeft ? writer.take() : null
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
    // The value may be an empty list or map, which says nothing of the row.
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
        if (as === 'printed' || !needsNoEscape(bytes, start, end)) return false
        writer.bytes(bytes.subarray(start, end))
      }
    }
    // A string around the value says something in any case, and the name of a member never does.
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

  /** Returns false for a value that is no JSON. The templates then throw a fault that says why. */
  #json(value: unknown): boolean {
    try {
      writer.text(jsonText(value, { charge: count => (this.#memoryLeft -= count) }))
      return true
    } catch (error) {
      if (error instanceof TemplateFault) return false
      throw error
    }
  }
}
