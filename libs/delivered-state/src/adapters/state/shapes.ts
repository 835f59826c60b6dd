/**
 * Shapes: the sets of columns that stored rows have. A model may gain or lose columns, and a row is stored as
 * it was delivered. Each row names its shape. So its columns are known without reading the row.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Row } from '@sluice/contracts/values'
import type { KeyStateKind, Op, Outcome } from '@sluice/contracts/state'
import { encodeRow } from '../sql/row-json.ts'
import { quoteText } from '../sql/sql-types.ts'
import { rowsOf } from '../sql/rows-of.ts'

/**
 * The state file names kinds, ops and outcomes by their index in these lists, so their order must not change.
 */
export const KINDS = [
  'absent',
  'present',
  'content-uncertain',
  'existence-uncertain',
] as const satisfies KeyStateKind[]
export const CHANGE_OPS = ['settled', 'removed', 'changed', 'added'] as const satisfies (Op | 'settled')[]
export const OUTCOMES = [
  'delivered',
  'rejected',
  'unknown',
  'unsent',
  'exists',
  'missing',
] as const satisfies Outcome[]

export const ABSENT = KINDS.indexOf('absent')
export const PRESENT = KINDS.indexOf('present')
export const CONTENT_UNCERTAIN = KINDS.indexOf('content-uncertain')
export const EXISTENCE_UNCERTAIN = KINDS.indexOf('existence-uncertain')

export const SETTLED = CHANGE_OPS.indexOf('settled')
export const REMOVED = CHANGE_OPS.indexOf('removed')
export const CHANGED = CHANGE_OPS.indexOf('changed')
export const ADDED = CHANGE_OPS.indexOf('added')

export const DELIVERED = OUTCOMES.indexOf('delivered')
export const UNKNOWN = OUTCOMES.indexOf('unknown')
export const EXISTS = OUTCOMES.indexOf('exists')
export const MISSING = OUTCOMES.indexOf('missing')

export interface Shape {
  readonly id: number
  readonly columns: readonly string[]
}

/** A row as it is stored. */
interface StoredRow {
  readonly json: string
  readonly shape: number
}

/** All shapes of a state file. Shapes that are not saved yet are saved with the next merge. */
export class Shapes {
  readonly #byText = new Map<string, Shape>()
  readonly #unsaved: Shape[] = []
  /** The shape of the last row, since mostly the next row has it, too. */
  #last: Shape | null = null

  static async load(connection: DuckDBConnection): Promise<Shapes> {
    const shapes = new Shapes()
    const result = await rowsOf(connection, 'SELECT id, columns FROM shapes')
    for (const [id, text] of result) {
      const columns: unknown = JSON.parse(String(text))
      if (!Array.isArray(columns)) throw new Error(`shape ${String(id)} is no list of columns`)
      shapes.#byText.set(String(text), { id: Number(id), columns: columns.map(String) })
    }
    return shapes
  }

  get all(): readonly Shape[] {
    return [...this.#byText.values()]
  }

  store(row: Row): StoredRow {
    const names = Object.keys(row)
    const shape = this.#last !== null && isEqual(names, this.#last.columns) ? this.#last : this.#find(names)
    return { json: encodeRow(row, shape.columns), shape: shape.id }
  }

  idOf(names: readonly string[]): number {
    return this.#find(names).id
  }

  #find(names: readonly string[]): Shape {
    const text = JSON.stringify(names)
    let shape = this.#byText.get(text)
    if (shape === undefined) {
      shape = { id: this.#byText.size, columns: names }
      this.#byText.set(text, shape)
      this.#unsaved.push(shape)
    }
    this.#last = shape
    return shape
  }

  /**
   * Returns SQL that saves new shapes, to be run in the transaction that stores the rows. The caller calls
   * `saved` once it is committed.
   */
  saving(): { readonly sql: string; saved(): void } {
    const news = [...this.#unsaved]
    const values = news.map(shape => `(${shape.id}, ${quoteText(JSON.stringify(shape.columns))})`)
    return {
      sql: news.length === 0 ? '' : `INSERT INTO shapes VALUES ${values.join(', ')};`,
      saved: () => this.#unsaved.splice(0, news.length),
    }
  }
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
