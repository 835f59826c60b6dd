/**
 * Makes the rows of a model out of the entries of a slice, by one connection to a DuckDB that stays open. It
 * gives the same values as a comparison, since it makes them of the same texts by the same SQL.
 *
 * The columns of the topic are those that the comparison, or a sample, has found. An entry that does not fit
 * them is noticed before it is taken (`place`).
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { isSluiceError, type SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { type Column, JsonText, type Row, type Value, WHY_INVALID } from '@sluice/contracts/values'
import { canonicalText, jsonForm, keySql } from '@sluice/domain/canonical-sql'
import { setMember, valueReader } from '@sluice/domain/value-reader'
import { duckdbMessage } from '../duckdb/errors.ts'
import { DuckdbSession } from '../duckdb/session.ts'
import { quoteIdentifier, quoteText } from '../duckdb/types.ts'
import { modelCalled } from '../query/model-columns.ts'
import { keyText } from '../postgres/log-values.ts'
import { BOOLEAN, type Carrier, INTEGER, JSON_VALUE, LONG, TEXT } from './carried-values.ts'
import type { Cells, Entry, EntryKey } from './entry.ts'
import { looseCarrier } from './loose-values.ts'
import { carriedBy, CHANGES, failed, rowByRow, type RowByRow } from './select-changes.ts'
import { converted, merged, type TopicColumn } from './topic-columns.ts'
import { topicError } from './topic-error.ts'

const THREADS = '2'
const MEMORY_LIMIT = '128MB'
const STAGED = 'sluice_slice'
/** The column that says which entry a row is of. */
const PLACE = 'sluice: the place of the entry'
const THROUGH = [WHY_INVALID, PLACE]
/** The reason of a row that is gone, so that no condition looks at it. */
const GONE = 'gone'
const MAX_SHOWN = 100

export type TopicColumns = readonly Pick<TopicColumn, 'name' | 'carrier'>[]

export interface SliceRowsOptions {
  readonly model: ModelSpec
  readonly topic: string
  readonly columns: TopicColumns
  readonly primaryKey: readonly string[]
}

/** What an entry says of a row of the model. */
export type MadeRow =
  | {
      readonly kind: 'row'
      readonly key: string
      /** Null: the row is gone, or is none of the model. */
      readonly row: Row | null
      readonly lacks: readonly string[]
    }
  /** No key tells which row it is. A row that does not match the SQL has none. */
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable'; readonly why: string }

export type RowEntry = Entry & { readonly kind: 'row' | 'removed' }

/** An entry whose values have their places. */
export interface PlacedEntry {
  readonly entry: RowEntry
  readonly staged: Staged | Refused
}

/** DuckDB for the slices of all streams of this process. It is closed with the last of them. */
let shared: { readonly session: Promise<DuckdbSession>; users: number } | null = null

async function connectToShared(): Promise<{ connection: DuckDBConnection; close: () => Promise<void> }> {
  shared ??= {
    users: 0,
    session: DuckdbSession.open('/', {
      memoryLimit: MEMORY_LIMIT,
      threads: Number(THREADS),
      tempDirectory: '',
    }).then(async session => {
      // A connection that is made later has the zone of the instance, and may set none.
      await session.connection.run("SET GLOBAL TimeZone = 'UTC'")
      await session.closeOff([])
      return session
    }),
  }
  const own = shared
  own.users += 1
  const release = async (): Promise<void> => {
    own.users -= 1
    if (own.users > 0) return
    if (shared === own) shared = null
    await (await own.session)[Symbol.asyncDispose]()
  }
  try {
    const connection = await (await own.session).connect()
    return {
      connection,
      close: async () => {
        connection.closeSync()
        await release()
      },
    }
  } catch (error) {
    await release().catch(() => {})
    throw error
  }
}

/** The texts of a row by column, and the id of its forms. */
interface StagedRow {
  readonly forms: number
  readonly texts: readonly (string | null)[]
}

export class SliceRows implements AsyncDisposable {
  readonly #options: SliceRowsOptions
  readonly #connection: DuckDBConnection
  readonly #close: () => Promise<void>
  readonly #index: ReadonlyMap<string, number>
  /** By id: the carrier of each column of such a row; null for one without a value. */
  readonly #forms: (readonly (Carrier | null)[])[] = []
  readonly #formIds = new Map<string, number>()
  readonly #carrierIds = new Map<string, number>()
  readonly #query: RowByRow | null
  readonly columns: readonly Column[]
  #sql: Promise<SliceSql> | null = null

  private constructor(
    options: SliceRowsOptions,
    own: {
      readonly connection: DuckDBConnection
      readonly close: () => Promise<void>
      readonly query: RowByRow | null
      readonly columns: readonly Column[]
    },
  ) {
    this.#options = options
    this.#connection = own.connection
    this.#close = own.close
    this.#query = own.query
    this.columns = own.columns
    this.#index = new Map(options.columns.map(({ name }, index) => [name, index]))
  }

  /**
   * Rejects with `query` for SQL that is not row by row, or whose key does not follow from that of the
   * records.
   */
  static async open(options: SliceRowsOptions): Promise<SliceRows> {
    const { model, columns, primaryKey } = options
    const { connection, close } = await connectToShared()
    try {
      if (model.sql === undefined) {
        const plain = columns.map(({ name, carrier }) => ({ name, type: carrier.type }))
        return new SliceRows(options, { connection, close, query: null, columns: plain })
      }
      const nothing = columns.map(
        ({ name, carrier }) => `CAST(NULL AS ${carrier.sqlType}) AS ${quoteIdentifier(name)}`,
      )
      const through = THROUGH.map(name => `CAST(NULL AS VARCHAR) AS ${quoteIdentifier(name)}`)
      await connection.run(`CREATE TEMP VIEW ${CHANGES} AS SELECT ${[...nothing, ...through].join(', ')}`)
      const query = await rowByRow(connection, model, { keyOfInvalid: primaryKey, through: THROUGH })
      const carried = await carriedBy(connection, model, query.valid, THROUGH)
      const made = carried.map(({ name, carried: { type } }) => ({ name, type }))
      return new SliceRows(options, { connection, close, query, columns: made })
    } catch (error) {
      await close()
      throw error
    }
  }

  /**
   * Finds the places of the values of an entry. Null if the columns of the topic do not have them. Throws
   * `query`.
   */
  place(entry: RowEntry): PlacedEntry | null {
    const staged = this.#staged(entry.kind === 'row' ? entry.cells : null, entry.key)
    return staged === null ? null : { entry, staged: this.#stage(entry, staged) }
  }

  /** Returns the columns of the model that may lack their values, if these columns of the topic do. */
  mayLack(lacked: ReadonlySet<string>): readonly string[] {
    const query = this.#query
    return this.columns.flatMap(({ name }) => {
      const of = query?.madeOf.get(name) ?? new Set([name])
      return [...of].some(each => lacked.has(each)) ? [name] : []
    })
  }

  /**
   * Returns the columns of the model that lack their values in this entry. Throws `query` if a condition
   * needs them.
   */
  lacks({ unknown }: Entry & { readonly kind: 'row' }): readonly string[] {
    if (unknown.length === 0) return []
    const query = this.#query
    if (query === null) return unknown.filter(name => this.#index.has(name))
    const isUnknown = (name: string): boolean =>
      unknown.some(each => each.toLowerCase() === name.toLowerCase())
    const [needed] = [...query.conditionOn].filter(isUnknown)
    if (needed !== undefined)
      throw this.#failure(
        `has a change without the value of "${needed}", which has not changed, and the SQL has a condition on it: ` +
          'ALTER TABLE … REPLICA IDENTITY FULL makes the database tell all values',
      )
    return this.columns.flatMap(({ name }) => {
      const of = query.madeOf.get(name)
      return (of === undefined ? isUnknown(name) : [...of].some(isUnknown)) ? [name] : []
    })
  }

  /** Makes the rows, in the order of the entries. Not to be called concurrently. Rejects with `query`. */
  async rowsOf(placed: readonly PlacedEntry[]): Promise<readonly MadeRow[]> {
    const plain = this.#plainRows(placed)
    if (plain !== null) return plain
    const entries = placed.map(({ entry }) => entry)
    const staged = placed.map(each => each.staged)
    const sql = await this.#prepared()
    const made: MadeRow[] = staged.map(each =>
      'why' in each ? { kind: 'unreadable', ...each } : { kind: 'none' },
    )
    await this.#load(staged)
    try {
      const seen = await this.#take(sql.rows, made, entries)
      const staying = staged.filter(each => !('why' in each)).length
      if (seen < staying) await this.#take(sql.keys, made, entries)
    } catch (error) {
      if (isSluiceError(error) || this.#query === null) throw error
      throw failed(this.#options.model, duckdbMessage(error), error)
    }
    return made
  }

  /**
   * Makes the rows without DuckDB, which takes a multiple of the time. Null if that may give other values: if
   * the model has SQL, or a text needs more than to be read.
   */
  #plainRows(placed: readonly PlacedEntry[]): readonly MadeRow[] | null {
    if (this.#query !== null) return null
    const { columns, primaryKey } = this.#options
    const readers = columns.map(({ name, carrier }) => ({ name, carrier, read: plainReader(carrier) }))
    const keyPlaces = primaryKey.map(name => this.#index.get(name) ?? -1)
    const made: MadeRow[] = []
    for (const { entry, staged } of placed) {
      if ('why' in staged) {
        made.push({ kind: 'unreadable', why: staged.why })
        continue
      }
      const forms = this.#forms[staged.forms] ?? []
      const row: { [name: string]: Value } = {}
      const keys: Value[] = keyPlaces.map(() => null)
      for (const [index, { name, carrier, read }] of readers.entries()) {
        const text = staged.texts[index] ?? null
        const own = forms[index] ?? null
        const value = text === null ? null : own === null || own === carrier ? (read?.(text) ?? null) : null
        if (text !== null && value === null) return null
        setMember(row, name, value)
        const at = keyPlaces.indexOf(index)
        if (at >= 0) keys[at] = value
      }
      const key = keyText(keys)
      if (key === null) made.push(staged.isGone ? { kind: 'none' } : NULL_KEY)
      else if (entry.kind !== 'row') made.push({ kind: 'row', key, row: null, lacks: [] })
      else made.push({ kind: 'row', key, row, lacks: this.lacks(entry) })
    }
    return made
  }

  async #load(staged: readonly (Staged | Refused)[]): Promise<void> {
    const connection = this.#connection
    const texts = this.#options.columns.map((_, index) => `c${index} VARCHAR`)
    await connection.run(
      `CREATE OR REPLACE TEMP TABLE ${STAGED} (i INTEGER, gone BOOLEAN, forms INTEGER${texts.map(text => `, ${text}`).join('')})`,
    )
    const appender = await connection.createAppender(STAGED)
    for (const [i, each] of staged.entries()) {
      if ('why' in each) continue
      appender.appendInteger(i)
      appender.appendBoolean(each.isGone)
      appender.appendInteger(each.forms)
      for (const text of each.texts) {
        if (text === null) appender.appendNull()
        else appender.appendVarchar(text.toWellFormed())
      }
      appender.endRow()
    }
    appender.closeSync()
  }

  /** Reads the result of a query into `made`. Returns how many of them it told. */
  async #take(sql: string, made: MadeRow[], entries: readonly RowEntry[]): Promise<number> {
    const result = await this.#connection.run(sql)
    const readers = this.columns.map(({ name, type }) => ({ name, read: valueReader(type) }))
    let told = 0
    for (
      let chunk = await result.fetchChunk();
      chunk !== null && chunk.rowCount > 0;
      chunk = await result.fetchChunk()
    )
      for (const [place, text] of chunk.getRows()) {
        const i = Number(place)
        if (made[i]?.kind !== 'none') continue
        const [why, key, values] = JSON.parse(String(text)) as readonly [
          string | null,
          string | null,
          unknown[] | null,
        ]
        told += 1
        const entry = entries[i]
        if (why !== null && why !== GONE) made[i] = { kind: 'unreadable', why }
        else if (key === null) made[i] = why === GONE || values === null ? { kind: 'none' } : NULL_KEY
        else if (values === null || entry?.kind !== 'row')
          made[i] = { kind: 'row', key, row: null, lacks: [] }
        else {
          const row: { [name: string]: Value } = {}
          for (const [index, { name, read }] of readers.entries())
            setMember(row, name, read(values[index] ?? null))
          made[i] = { kind: 'row', key, row, lacks: this.lacks(entry) }
        }
      }
    return told
  }

  #stage(entry: RowEntry, staged: StagedRow): Staged | Refused {
    const { primaryKey } = this.#options
    const cells = entry.kind === 'row' ? entry.cells : null
    const names = new Set([...(cells?.names ?? []), ...(entry.key.cells?.names ?? [])])
    const [only] = primaryKey
    if (
      entry.kind === 'row' &&
      entry.key.isOneValue === true &&
      entry.key.cells === null &&
      only !== undefined
    ) {
      const own = staged.texts[this.#index.get(only) ?? -1] ?? null
      if (primaryKey.length === 1 && own !== keyOfOneValue(entry.key))
        return {
          why: `the key of the record is ${keyOfOneValue(entry.key) ?? 'null'}, and "${only}" is ${own ?? 'null'}`,
        }
    }
    if (entry.kind === 'removed' && !primaryKey.every(name => names.has(name))) {
      const text = entry.key.isOneValue === true && primaryKey.length === 1 ? keyOfOneValue(entry.key) : null
      if (text === null || only === undefined)
        throw this.#failure(
          `has a record that removes a row, and its key does not tell "${primaryKey.join('", "')}": leave out the \`primaryKey\` of the model, so that it is the key of the records`,
        )
      const looked: Cells = { names: [only], carriers: [TEXT], texts: [text] }
      const again = this.#staged(looked, { ...entry.key, cells: null }, { converts: true })
      if (again !== null) return { ...again, isGone: true }
    }
    return { ...staged, isGone: entry.kind === 'removed' }
  }

  /** Puts the texts of a row at the places of their columns. Null if a column has no place for them. */
  #staged(row: Cells | null, key: EntryKey, { converts = false } = {}): StagedRow | null {
    const { columns } = this.#options
    const texts = new Array<string | null>(columns.length).fill(null)
    const carriers = new Array<Carrier | null>(columns.length).fill(null)
    for (const cells of [row, key.cells]) {
      if (cells === null) continue
      for (const [at, name] of cells.names.entries()) {
        const place = this.#index.get(name)
        const whole = cells.texts[at] ?? null
        if (place === undefined) {
          // A field without a schema that is null says nothing.
          if (this.#takesAll && (whole !== null || cells.carriers !== null)) return null
          continue
        }
        if (carriers[place] !== null || whole === null) continue
        const carrier =
          cells.carriers === null ? looseCarrier(new Set([whole[0] ?? ''])) : (cells.carriers[at] ?? TEXT)
        const pinned = columns[place]?.carrier ?? TEXT
        if (!converts && merged(pinned, carrier).sqlType !== pinned.sqlType) return null
        texts[place] = cells.carriers === null ? whole.slice(1) : whole
        carriers[place] = carrier
      }
    }
    return { texts, forms: this.#formsOf(carriers) }
  }

  /** True if a new column of the topic is a new column of the model. */
  get #takesAll(): boolean {
    return this.#query === null || this.#query.hasStar
  }

  #formsOf(carriers: readonly (Carrier | null)[]): number {
    const { columns } = this.#options
    let id = ''
    for (const [index, carrier] of carriers.entries())
      id += carrier === null || carrier === columns[index]?.carrier ? ',' : `${this.#carrierId(carrier)},`
    const known = this.#formIds.get(id)
    if (known !== undefined) return known
    const made = this.#forms.length
    this.#forms.push(carriers)
    this.#formIds.set(id, made)
    this.#sql = null
    return made
  }

  /** The SQL of its value tells what a carrier does with a text. */
  #carrierId(carrier: Carrier): number {
    const text = carrier.value('x')
    const id = this.#carrierIds.get(text) ?? this.#carrierIds.size
    this.#carrierIds.set(text, id)
    return id
  }

  #prepared(): Promise<SliceSql> {
    this.#sql ??= this.#makeSql()
    return this.#sql
  }

  async #makeSql(): Promise<SliceSql> {
    const { columns, model } = this.#options
    const values = columns.map(({ carrier }, index) => {
      const other = (id: number): string | null => {
        const own = this.#forms[id]?.[index] ?? null
        return own === null || own.value('x') === carrier.value('x')
          ? null
          : converted(own, carrier, `c${index}`)
      }
      const cases = this.#forms.flatMap((_, id) => {
        const sql = other(id)
        return sql === null ? [] : [`WHEN ${id} THEN ${sql}`]
      })
      const plain = carrier.value(`c${index}`)
      const value = cases.length === 0 ? plain : `CASE forms ${cases.join(' ')} ELSE ${plain} END`
      return `TRY(CAST(${value} AS ${carrier.sqlType})) AS v${index}`
    })
    const reasons = columns.flatMap(({ name, carrier }, index) => {
      if (ANY_TEXT.has(carrier.type.kind)) return []
      const reason = `${quoteText(`column "${name}" has `)} || left(c${index}, ${MAX_SHOWN}) || ${quoteText(`, which no ${carrier.type.kind} of Sluice can hold`)}`
      return [`WHEN c${index} IS NOT NULL AND v${index} IS NULL THEN ${reason}`]
    })
    const why = `CASE WHEN gone THEN ${quoteText(GONE)} ${reasons.join(' ')} END`
    const named = columns.map(({ name }, index) => `v${index} AS ${quoteIdentifier(name)}`)
    const inner = `SELECT ${values.join(', ')}, * FROM ${STAGED}`
    const changes = `SELECT ${[...named, `${why} AS ${quoteIdentifier(WHY_INVALID)}`, `i AS ${quoteIdentifier(PLACE)}`].join(', ')} FROM (${inner})`
    const connection = this.#connection
    await connection.run(
      `CREATE TEMP TABLE IF NOT EXISTS ${STAGED} (i INTEGER, gone BOOLEAN, forms INTEGER${columns.map((_, index) => `, c${index} VARCHAR`).join('')})`,
    )
    await connection.run(`CREATE OR REPLACE TEMP VIEW ${CHANGES} AS ${changes}`)
    const query = this.#query
    if (query === null) return { rows: this.#result(`FROM ${CHANGES}`, null, true), keys: '' }
    const carried = await carriedBy(connection, model, query.valid, THROUGH)
    const cast = new Map(carried.map(({ name, carried: { cast: own } }) => [name, own]))
    return {
      rows: this.#result(`FROM (${query.valid})`, cast, true),
      keys: this.#result(`FROM (${query.all})`, cast, false),
    }
  }

  /** Returns SQL for the place of each row, and JSON of its reason, its key and its values. */
  #result(
    from: string,
    casts: ReadonlyMap<string, ((x: string) => string) | null> | null,
    hasValues: boolean,
  ): string {
    const cast = ({ name }: Column): string => {
      const quoted = quoteIdentifier(name)
      return casts?.get(name)?.(quoted) ?? quoted
    }
    const keys = this.#options.primaryKey.map(name => {
      const column = this.columns.find(each => each.name === name)
      if (column === undefined) throw this.#failure(`has no column "${name}", which \`primaryKey\` names`)
      return canonicalText(column.type, cast(column))
    })
    const key = keys.length === 1 ? (keys[0] ?? 'NULL') : keyOfSeveral(keys)
    const values = this.columns.map(column => `CAST(to_json(${jsonForm(column.type, cast(column))}) AS JSON)`)
    const list = hasValues ? `to_json([${values.join(', ')}])` : 'NULL'
    const why = quoteIdentifier(WHY_INVALID)
    return `SELECT ${quoteIdentifier(PLACE)}, CAST(json_array(${why}, ${key}, CASE WHEN ${why} IS NULL THEN ${list} END) AS VARCHAR) ${from}`
  }

  #failure(what: string): SluiceError {
    const { model, topic } = this.#options
    return topicError(`The topic ${topic} of ${modelCalled(model.name)} ${what}.`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }
}

/**
 * Returns what reads the texts of a carrier as DuckDB does; null for a text, or a carrier, of which it does
 * not know that.
 */
function plainReader(carrier: Carrier): ((text: string) => Value) | null {
  switch (carrier) {
    case TEXT:
      return text => text.toWellFormed()
    case LONG:
    case INTEGER:
      return text => (WHOLE.test(text) ? Number(text) : null)
    case BOOLEAN:
      return text => (text === 'true' ? true : text === 'false' ? false : null)
    case JSON_VALUE:
      return text => new JsonText(text)
    default:
      return null
  }
}

/** Whole numbers that JavaScript holds, and that fit into 32 bits if their column does. */
const WHOLE = /^(0|-?[1-9]\d{0,8})$/

interface SliceSql {
  /** The rows of the model. */
  readonly rows: string
  /** The keys of all entries. */
  readonly keys: string
}

interface Staged extends StagedRow {
  readonly isGone: boolean
}

interface Refused {
  readonly why: string
}

const ANY_TEXT = new Set(['text', 'json', 'bytes'])
const NULL_KEY: MadeRow = { kind: 'unreadable', why: 'its key is null' }

/** The key is a JSON array, as everywhere. */
function keyOfSeveral(keys: readonly string[]): string {
  const some = keys.map(key => `${key} IS NULL`).join(' OR ')
  return `CASE WHEN ${some} THEN NULL ELSE ${keySql(keys)} END`
}

/** Returns the text of a key that is one value. */
function keyOfOneValue({ identity }: EntryKey): string | null {
  const value: unknown = JSON.parse(identity)
  return typeof value === 'string' ? value : null
}
