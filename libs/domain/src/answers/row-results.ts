/** Results of single rows in an answer (`errors.rowResults`). The first rule that names a row decides. */
import type { SyncSpec } from '@sluice/contracts/resources'
import type { RowRuleSpec } from '@sluice/contracts/specs/answer-specs'
import type { AnswerBody } from './answer-body.ts'
import { compileJsonPath, isThere, jsonOf, textOfReason } from './answer-rules.ts'
import { firstAt, valuesAt, type JsonPath } from './json-path.ts'

/** The way in which an item names its row. */
type Naming =
  | { readonly kind: 'position' }
  | { readonly kind: 'index'; readonly path: JsonPath }
  /** The texts of all of these columns together name a row. */
  | { readonly kind: 'columns'; readonly columns: readonly (readonly [string, JsonPath])[] }

export interface RowRule {
  readonly items: JsonPath
  readonly naming: Naming
  /** The rule takes only items in which this path finds a value other than null and false. */
  readonly json: JsonPath | null
  /** The rule takes only items that contain this text. */
  readonly body: string | null
  readonly as: RowRuleSpec['as']
  readonly error: JsonPath | null
  /** True: another attempt in the same run would get the same answer. */
  readonly waitsForNextRun: boolean
}

/** The result of one row in an answer. */
export interface RowAnswer {
  readonly as: RowRuleSpec['as']
  /** The reason, as the item has it. */
  readonly error: string | null
  readonly waitsForNextRun: boolean
  /** The JSON of the row's item. */
  readonly item: unknown
}

export type RowAnswers =
  | {
      readonly kind: 'known'
      /** The results by the row's position in the request. */
      readonly rows: ReadonlyMap<number, RowAnswer>
      /** A message about an item that names no row; null if there is none. */
      readonly odd: string | null
      /** The results in items that name no row. Each may belong to any row that no item names. */
      readonly strays: ReadonlySet<RowRuleSpec['as']>
    }
  /** The body could not be read, so its results are unknown. */
  | { readonly kind: 'unclear'; readonly why: string }

/** Throws `config` for a wrong JSONPath. A checked project has none. */
export function compileRowRules(specs: readonly RowRuleSpec[]): readonly RowRule[] {
  return specs.map(({ items, row, json, body, as, error, retry }) => ({
    items: compileJsonPath(items),
    naming: namingOf(row),
    json: json === undefined ? null : compileJsonPath(json),
    body: body ?? null,
    as,
    error: error === undefined ? null : compileJsonPath(error),
    waitsForNextRun: retry === 'next-run',
  }))
}

/** True for naming by index. So a column that is called `index` cannot name rows alone. */
function isIndex(row: Exclude<RowRuleSpec['row'], string>): row is { readonly index: string } {
  return Object.keys(row).length === 1 && Object.hasOwn(row, 'index')
}

function namingOf(row: RowRuleSpec['row']): Naming {
  if (typeof row === 'string') return { kind: 'position' }
  if (isIndex(row)) return { kind: 'index', path: compileJsonPath(row.index) }
  return {
    kind: 'columns',
    columns: Object.entries(row).map(([column, path]) => [column, compileJsonPath(path)] as const),
  }
}

/** Returns the columns by which answers to a sync's requests name rows. */
export function namingColumns({ errors }: Pick<SyncSpec, 'errors'>): readonly string[] {
  const columns = (errors?.rowResults ?? []).flatMap(({ row }) =>
    typeof row === 'string' || isIndex(row) ? [] : Object.keys(row),
  )
  return [...new Set(columns)].sort()
}

/**
 * Finds the results of single rows in an answer. `named` has the texts by which the answer names a row: a
 * JSON map of its naming columns.
 */
export function rowAnswersOf(
  rules: readonly RowRule[],
  body: AnswerBody,
  rows: readonly { readonly named: string | null }[],
): RowAnswers {
  if (rules.length === 0) return NOTHING_KNOWN
  const { json } = body
  if (json.kind === 'none') return NOTHING_KNOWN
  if (json.kind === 'unclear') return json
  const found = new Map<number, RowAnswer>()
  const places = new NamedRows(rows)
  let odd: string | null = null
  const strays = new Set<RowRuleSpec['as']>()
  for (const rule of rules) {
    for (const [place, item] of valuesAt(rule.items, json.value).entries()) {
      if (!isOf(rule, item)) continue
      const named = places.positionsOf(rule.naming, item, place)
      if (named.length === 0) {
        odd ??= `${rule.items.text}: item ${place} names no row of the request`
        strays.add(rule.as)
      }
      const free = named.filter(position => !found.has(position))
      if (free.length === 0) continue
      const { as, waitsForNextRun } = rule
      const answer = { as, error: errorOf(rule, item), waitsForNextRun, item }
      for (const position of free) found.set(position, answer)
    }
  }
  return { kind: 'known', rows: found, odd, strays }
}

const NOTHING_KNOWN: RowAnswers = { kind: 'known', rows: new Map(), odd: null, strays: new Set() }

function isOf({ json, body }: RowRule, item: unknown): boolean {
  if (json !== null && !isThere(firstAt(json, item, isThere))) return false
  return body === null || (jsonOf(item)?.includes(body) ?? false)
}

/** The rows of a request, found by the names in items. */
class NamedRows {
  readonly #rows: readonly { readonly named: string | null }[]
  /** Positions by the texts of columns. */
  readonly #byColumns = new Map<string, ReadonlyMap<string, readonly number[]>>()

  constructor(rows: readonly { readonly named: string | null }[]) {
    this.#rows = rows
  }

  /** Returns the positions of the rows that an item names. Columns may name several rows. */
  positionsOf(naming: Naming, item: unknown, place: number): readonly number[] {
    switch (naming.kind) {
      case 'position':
        return place < this.#rows.length ? [place] : []
      case 'index': {
        const index = indexOf(textAt(naming.path, item))
        return index !== null && index < this.#rows.length ? [index] : []
      }
      case 'columns': {
        const texts = naming.columns.map(([, path]) => textAt(path, item))
        if (texts.includes(null)) return []
        return this.#named(naming.columns.map(([column]) => column)).get(JSON.stringify(texts)) ?? []
      }
      default:
        return naming satisfies never
    }
  }

  #named(columns: readonly string[]): ReadonlyMap<string, readonly number[]> {
    const key = JSON.stringify(columns)
    const known = this.#byColumns.get(key)
    if (known !== undefined) return known
    const found = new Map<string, number[]>()
    for (const [position, { named }] of this.#rows.entries()) {
      const values = namesIn(named)
      const text = JSON.stringify(columns.map(column => values.get(column) ?? null))
      const same = found.get(text)
      if (same === undefined) found.set(text, [position])
      else same.push(position)
    }
    this.#byColumns.set(key, found)
    return found
  }
}

function namesIn(named: string | null): ReadonlyMap<string, unknown> {
  // A request of an earlier version has no such field.
  const values: unknown = typeof named === 'string' ? JSON.parse(named) : null
  return new Map(typeof values === 'object' && values !== null ? Object.entries(values) : [])
}

/** Returns the text, number or boolean at a path, as text. Null for anything else. */
function textAt(path: JsonPath, item: unknown): string | null {
  const value = firstAt(path, item, () => true)
  if (typeof value === 'string') return value
  // A number that is kept as it was written is an object without a prototype.
  const isNumber = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null
  return isNumber || typeof value === 'number' || typeof value === 'boolean' ? JSON.stringify(value) : null
}

function indexOf(text: string | null): number | null {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : null
}

function errorOf({ error }: RowRule, item: unknown): string | null {
  if (error === null) return null
  return textOfReason(firstAt(error, item, () => true))
}
