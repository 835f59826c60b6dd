/** Reads what a file knows of keys. */
import { hash } from 'node:crypto'
import type { RetryEntry } from '@sluice/contracts/records'
import { formOf } from '@sluice/domain/key-form'
import type { StreamedKey } from '../../stream-port.ts'
import { KINDS } from '../state/shapes.ts'
import type { RowShapes } from './row-shapes.ts'
import type { SqlValue, StreamFile } from './stream-file.ts'
import { ENTERED, SAME_ROW } from './tables.ts'

const COLUMNS = `key, kind, partition, run, slice, seq, open, has_captured, epoch, log_order, muted, shape,
  wanted_shape, content, wanted`

const KNOWN = `SELECT ${COLUMNS} FROM keys WHERE key = ?`
const ENTRY = 'SELECT entry FROM entries WHERE key = ? AND partition = ? ORDER BY lost DESC LIMIT 1'
const CAPTURED = 'SELECT content FROM captured WHERE key = ? AND partition = ?'

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true })

export function bytesOf(key: string): Uint8Array {
  return Buffer.from(key)
}

export function keyOf(bytes: SqlValue | undefined): string {
  return bytes instanceof Uint8Array ? UTF8.decode(bytes) : ''
}

/**
 * Returns the form under which a key is found, and null for a key that is its own form. A long form is
 * hashed.
 */
export function storedForm(key: string): Uint8Array | null {
  const form = formOf(key)
  return form === key ? null : formBytes(form)
}

const MAX_FORM_BYTES = 64

function formBytes(form: string): Uint8Array {
  const bytes = bytesOf(form)
  return bytes.length <= MAX_FORM_BYTES ? bytes : bytesOf(`#${hash('sha256', bytes)}`)
}

export class KnownKeys {
  readonly #file: StreamFile
  readonly #shapes: RowShapes

  constructor(file: StreamFile, shapes: RowShapes) {
    this.#file = file
    this.#shapes = shapes
  }

  of(key: string): StreamedKey | null {
    const found = this.#file.get(KNOWN, bytesOf(key))
    return found === undefined ? null : this.#read(found)
  }

  twinsOf(key: string): readonly StreamedKey[] {
    const form = formOf(key)
    const found = this.#file
      .all('SELECT key FROM forms WHERE form = ?', formBytes(form))
      .map(([other]) => keyOf(other))
    // A key that is its own form has no row in `forms`.
    if (formOf(form) === form) found.push(form)
    return found.flatMap(other => {
      const known = other === key ? null : this.of(other)
      return known === null ? [] : [known]
    })
  }

  /** Returns the keys of a query. `from` has the table, conditions, order and limit. */
  select(from: string, ...values: readonly SqlValue[]): readonly StreamedKey[] {
    return this.#file.all(`SELECT ${COLUMNS} FROM ${from}`, ...values).map(found => this.#read(found))
  }

  #read(found: readonly SqlValue[]): StreamedKey {
    const [bytes = null, kind, partition = null, run, slice, seq, open, hasCaptured, ...rest] = found
    const [epoch, order, muted, shape, wantedShape, content, wanted] = rest
    const row = shape === null ? null : this.#shapes.read({ shape: Number(shape), content: String(content) })
    const failed = open === ENTERED ? this.#file.get(ENTRY, bytes, partition) : undefined
    const captured = hasCaptured === 1 ? this.#file.get(CAPTURED, bytes, partition) : undefined
    return {
      key: keyOf(bytes),
      state: KINDS[Number(kind)] ?? 'absent',
      row,
      wanted:
        wantedShape === null
          ? null
          : wantedShape === SAME_ROW
            ? row
            : this.#shapes.read({ shape: Number(wantedShape), content: String(wanted) }),
      epoch: Number(epoch),
      order: String(order),
      partition: Number(partition),
      run: Number(run ?? 0),
      slice: Number(slice ?? 0),
      seq: Number(seq ?? 0),
      muted: typeof muted === 'string' ? muted : null,
      failed: failed === undefined ? null : (JSON.parse(String(failed[0])) as RetryEntry),
      captured: captured === undefined ? null : String(captured[0]),
    }
  }
}
