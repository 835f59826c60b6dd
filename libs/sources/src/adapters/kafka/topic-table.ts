/**
 * The table of a topic: the newest row of each key. Entries are staged in a DuckDB file beside the extract,
 * so that no number of them needs more memory than the limit. SQL then finds the newest of each key.
 *
 * States: open → finished. Entries of one partition come in the order of their offsets.
 */
import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DuckDBAppender, DuckDBConnection } from '@duckdb/node-api'
import type { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { type Column, WHY_INVALID } from '@sluice/contracts/values'
import { attachExtract, closeExtract, DuckdbSession, FOR_MANY_ROWS } from '../duckdb/session.ts'
import { quoteIdentifier, quoteText } from '../duckdb/types.ts'
import { assertColumns } from '../query/model-columns.ts'
import { type Carrier, wellFormedJson } from './carried-values.ts'
import type { Cells, Entry, EntryKey, Position } from './entry.ts'
import { type ColumnPlaces, hasText, listOfTexts, type TopicColumn, topicColumn } from './topic-columns.ts'
import { createRows } from './select-changes.ts'
import { topicError } from './topic-error.ts'

const THREADS = 2
const STAGED = 'sluice_staged'
/** The appender keeps entries in memory up to this many bytes. */
const FLUSH_BYTES = 8_000_000
const FLUSH_ENTRIES = 20_000
/** With this many entries, the layout for wide rows would take too much memory for its groups. */
const MANY_ENTRIES = 500_000
const MAX_COLUMNS = 5_000

const REMOVED = 0
const ROW = 1
const UNREADABLE = 2
const HIDES_KEY = 3

export interface TopicTableOptions {
  readonly model: ModelSpec
  readonly topic: string
  readonly primaryKey: readonly string[]
  /** A path that does not exist yet. */
  readonly file: string
  readonly memoryBytes: number
  /** The number of entries, or more. */
  readonly entries: number
  readonly partitions: number
  readonly signal: AbortSignal
}

export interface TopicRows {
  readonly columns: readonly Column[]
  readonly rowCount: number
  readonly primaryKey: readonly string[]
  /** The columns of the topic itself, which the model's SQL reads. */
  readonly topicColumns: readonly Pick<TopicColumn, 'name' | 'carrier'>[]
  /** The columns of the topic whose values an entry lacked. */
  readonly lacked: ReadonlySet<string>
}

interface Shape {
  readonly id: number
  readonly columns: readonly { readonly name: string; readonly carrier: Carrier }[]
  /** The places in the key's texts of the columns that come from the key. */
  readonly fromKey: readonly number[]
}

export class TopicTable implements AsyncDisposable {
  readonly #options: TopicTableOptions
  readonly #session: DuckdbSession
  readonly #appender: DuckDBAppender
  /** By the carriers of the row, then by those of the key. */
  readonly #shapes = new Map<object | null, Map<object | null, Shape>>()
  readonly #shapeList: Shape[] = []
  readonly #loose = new Map<string, { readonly index: number; readonly kinds: Set<string> }>()
  readonly #keyColumns = new Map<string, readonly string[]>()
  readonly #unknown = new Set<string>()
  readonly #lacked = new Set<string>()
  readonly #emptied: (Position & Pick<Entry, 'committedAt'>)[] = []
  #pendingBytes = 0
  #pendingEntries = 0

  private constructor(options: TopicTableOptions, session: DuckdbSession, appender: DuckDBAppender) {
    this.#options = options
    this.#session = session
    this.#appender = appender
  }

  static async open(options: TopicTableOptions): Promise<TopicTable> {
    const { file, memoryBytes, entries } = options
    const session = await DuckdbSession.open(dirname(file), {
      memoryLimit: `${memoryBytes}B`,
      threads: THREADS,
      tempDirectory: `${file}.tmp`,
    })
    try {
      const { connection } = session
      const layout = entries > MANY_ENTRIES ? { layout: FOR_MANY_ROWS } : {}
      await attachExtract(connection, file, layout)
      await attachExtract(connection, `${file}.staged`, { ...layout, name: STAGED })
      await session.closeOff([])
      await connection.run(
        `CREATE TABLE ${STAGED}.main.entries (part INTEGER, off BIGINT, ts BIGINT, identity VARCHAR, kind INTEGER,
           shape INTEGER, v VARCHAR, l VARCHAR, unknown VARCHAR, why VARCHAR)`,
      )
      const appender = await connection.createAppender('entries', 'main', STAGED)
      return new TopicTable(options, session, appender)
    } catch (error) {
      await session[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Adds an entry. Throws DuckDB's error. */
  add(entry: Entry): void {
    const { at, committedAt } = entry
    switch (entry.kind) {
      case 'passed':
        return
      case 'emptied':
        this.#emptied.push({ ...at, committedAt })
        return
      case 'removed':
        this.#noteKey(entry.key)
        this.#append(entry, entry.key.identity, { kind: REMOVED, ...this.#values(null, entry.key) })
        return
      case 'row':
        this.#noteKey(entry.key)
        for (const name of entry.unknown) this.#lacked.add(name)
        this.#append(entry, entry.key.identity, {
          kind: ROW,
          ...this.#values(entry.cells, entry.key),
          unknown: entry.unknown,
        })
        return
      case 'unreadable': {
        const { key, why, hidesKey } = entry
        if (key !== null) this.#noteKey(key)
        const identity = key?.identity ?? `at ${at.partition} ${at.offset}`
        const has = new Set(key?.cells?.names)
        // The columns that tell the row come from an earlier entry of its key.
        const unknown = key === null ? [] : this.#options.primaryKey.filter(name => !has.has(name))
        const kind = hidesKey ? HIDES_KEY : UNREADABLE
        this.#append(entry, identity, { kind, ...this.#values(null, key), unknown, why })
        return
      }
      default:
        entry satisfies never
    }
  }

  #append(
    { at, committedAt }: Entry,
    identity: string,
    entry: {
      readonly kind: number
      readonly shape: number
      readonly v: string | null
      readonly l: string | null
      readonly unknown?: readonly string[]
      readonly why?: string
    },
  ): void {
    const appender = this.#appender
    const { unknown = [] } = entry
    for (const name of unknown) this.#unknown.add(name)
    const texts = [
      entry.v,
      entry.l,
      unknown.length === 0 ? null : wellFormedJson(JSON.stringify(unknown)),
      entry.why?.toWellFormed() ?? null,
    ]
    appender.appendInteger(at.partition)
    appender.appendBigInt(BigInt(at.offset))
    appender.appendBigInt(BigInt(committedAt))
    appender.appendVarchar(identity.toWellFormed())
    appender.appendInteger(entry.kind)
    appender.appendInteger(entry.shape)
    for (const text of texts) {
      if (text === null) appender.appendNull()
      else appender.appendVarchar(text)
      this.#pendingBytes += text?.length ?? 0
    }
    appender.endRow()
    this.#pendingEntries += 1
    if (this.#pendingBytes < FLUSH_BYTES && this.#pendingEntries < FLUSH_ENTRIES) return
    appender.flushSync()
    this.#pendingBytes = 0
    this.#pendingEntries = 0
  }

  /** Returns the values of a row with those columns of its key that the row lacks. */
  #values(row: Cells | null, key: EntryKey | null) {
    const keyCells = key?.cells ?? null
    const shape = this.#shapeOf(row, keyCells)
    const ownTexts = row === null || row.carriers === null ? [] : row.texts
    const fixed = [...ownTexts, ...shape.fromKey.map(place => keyCells?.texts[place] ?? null)]
    const loose: (string | null)[] = []
    if (row !== null && row.carriers === null) this.#putLoose(row, loose, null)
    if (keyCells?.carriers === null) this.#putLoose(keyCells, loose, row)
    return {
      shape: shape.id,
      v: fixed.length === 0 ? null : wellFormedJson(JSON.stringify(fixed)),
      // Places without a value become null.
      l: loose.length === 0 ? null : wellFormedJson(JSON.stringify(loose)),
    }
  }

  #putLoose({ names, texts }: Cells, into: (string | null)[], row: Cells | null): void {
    for (const [place, name] of names.entries()) {
      if (row !== null && row.names.includes(name)) continue
      let column = this.#loose.get(name)
      if (column === undefined) {
        if (this.#loose.size >= MAX_COLUMNS)
          throw this.#failure(`has more than ${MAX_COLUMNS} different fields`)
        column = { index: this.#loose.size, kinds: new Set() }
        this.#loose.set(name, column)
      }
      const text = texts[place] ?? null
      if (text !== null) column.kinds.add(text[0] ?? '')
      while (into.length < column.index) into.push(null)
      into[column.index] = text
    }
  }

  #shapeOf(row: Cells | null, key: Cells | null): Shape {
    const own = row?.carriers ?? null
    const ofKey = key?.carriers ?? null
    let byKey = this.#shapes.get(own)
    if (byKey === undefined) this.#shapes.set(own, (byKey = new Map<object | null, Shape>()))
    // Rows without a schema differ in their names, so the columns that come from the key differ, too.
    if (row !== null && own === null && ofKey !== null) return this.#newShape(row, key)
    let shape = byKey.get(ofKey)
    if (shape === undefined) {
      shape = this.#newShape(row, key)
      byKey.set(ofKey, shape)
    }
    return shape
  }

  #newShape(row: Cells | null, key: Cells | null): Shape {
    const ofRow = (row?.carriers ?? []).map((carrier, index) => ({ name: row?.names[index] ?? '', carrier }))
    const has = new Set(row?.names)
    const keyCarriers = key?.carriers ?? []
    const fromKey = keyCarriers.flatMap((_, index) => (has.has(key?.names[index] ?? '') ? [] : [index]))
    const ofKey = fromKey.flatMap(index => {
      const carrier = keyCarriers[index]
      return carrier === undefined ? [] : [{ name: key?.names[index] ?? '', carrier }]
    })
    const columns = [...ofRow, ...ofKey]
    const same = this.#shapeList.find(
      ({ columns: others }) =>
        others.length === columns.length &&
        others.every(({ name, carrier }, i) => name === columns[i]?.name && carrier === columns[i].carrier),
    )
    if (same !== undefined) return same
    const shape = { id: this.#shapeList.length, columns, fromKey }
    this.#shapeList.push(shape)
    return shape
  }

  #noteKey({ cells }: EntryKey): void {
    if (cells === null) return
    const id = JSON.stringify(cells.names)
    if (!this.#keyColumns.has(id)) this.#keyColumns.set(id, cells.names)
  }

  /**
   * Writes the newest row of each key to the extract, at most `sample` rows. Rejects with `query` if the rows
   * cannot be told apart, or if a record that cannot be read may be about any row.
   */
  async finish({ sample }: { readonly sample: number | null }): Promise<TopicRows> {
    this.#appender.closeSync()
    const { signal, model } = this.#options
    return await this.#session.interruptible(signal, async () => {
      const { connection } = this.#session
      await this.#findNewest(connection)
      const knowsKey = this.#options.primaryKey.length > 0 || this.#keyColumns.size > 0
      if (sample === null || !knowsKey) await this.#assertKeysRead(connection)
      const primaryKey = this.#primaryKey()
      await this.#findUnknown(connection)
      const columns = await this.#columns(connection)
      if (columns.length === 0) throw this.#failure('has no rows, so that nothing tells its columns')
      assertColumns(model, columns)
      await connection.run(`CREATE TABLE ${STAGED}.main.changes AS ${this.#select(columns)}`)
      if (sample === null) await this.#assertRowsTold(connection, primaryKey, columns)
      const made = await createRows(connection, {
        model,
        changes: `${STAGED}.main.changes`,
        columns: columns.map(({ name, carrier }) => ({ name, type: carrier.type })),
        primaryKey,
        limit: sample,
      })
      await closeExtract(connection)
      return { ...made, primaryKey, topicColumns: columns, lacked: this.#lacked }
    })
  }

  #primaryKey(): readonly string[] {
    const { primaryKey } = this.#options
    if (primaryKey.length > 0) return primaryKey
    const found = [...this.#keyColumns.values()]
    const [only, ...others] = found
    if (only === undefined)
      throw this.#failure('has no record with a key: name the columns that tell rows apart as `primaryKey`')
    if (others.length === 0) return only
    const named = found.map(names => names.join(', ')).join(' and ')
    throw this.#failure(
      `has keys of different fields (${named}): name the columns that tell rows apart as \`primaryKey\``,
    )
  }

  async #findNewest(connection: DuckDBConnection): Promise<void> {
    const { partitions } = this.#options
    const ofPartition = `SELECT md5_number(identity) AS k, part, max(off) AS off, arg_max(ts, off) AS ts, arg_max(kind, off) AS kind
      FROM ${STAGED}.main.entries GROUP BY ALL`
    // A key stands in several partitions if the topic got more of them. Then the commit time decides. A row
    // wins over a removal of the same time, so that it becomes invalid and is not removed.
    const rank = `ts * 2 + CASE kind WHEN ${REMOVED} THEN 0 ELSE 1 END`
    const overall = `SELECT k, arg_max(part, ${rank}) AS part, arg_max(off, ${rank}) AS off, max(ts) AS ts,
        arg_max(kind, ${rank}) AS kind, count(*) > 1 AND max(ts, 2)[1] = max(ts, 2)[2] AS tied
      FROM (${ofPartition}) GROUP BY k`
    const all = partitions > 1 ? overall : `SELECT *, false AS tied FROM (${ofPartition})`
    await connection.run(`CREATE TABLE ${STAGED}.main.newest AS ${all}`)
    for (const { partition, offset, committedAt } of this.#emptied) {
      // A batch that cannot be read has no time, so it may be newer.
      const others = `part <> ${partition} AND NOT (kind = ${HIDES_KEY} AND ts <= 0) AND ts`
      await connection.run(
        `DELETE FROM ${STAGED}.main.newest WHERE (part = ${partition} AND off < ${offset}) OR (${others} < ${committedAt})`,
      )
      await connection.run(`UPDATE ${STAGED}.main.newest SET tied = true WHERE ${others} = ${committedAt}`)
    }
    await connection.run(`DELETE FROM ${STAGED}.main.newest WHERE kind = ${REMOVED}`)
  }

  /** A key that cannot be read may be the key of any row, which would then seem to be removed. */
  async #assertKeysRead(connection: DuckDBConnection): Promise<void> {
    const reader = await connection.runAndReadAll(
      `SELECT e.part, e.off, e.why, count(*) OVER () FROM ${STAGED}.main.newest AS n
       JOIN ${STAGED}.main.entries AS e USING (part, off) WHERE e.kind = ${HIDES_KEY} ORDER BY 1, 2 LIMIT 1`,
    )
    const [part, offset, why, count] = reader.getRows()[0]?.map(each => String(each)) ?? []
    if (part === undefined) return
    const all = count === '1' ? '' : ` (the first of ${count ?? ''})`
    throw this.#failure(
      `has a record that may be about any row, at partition ${part}, offset ${offset ?? ''}${all}: ${why ?? ''}. ` +
        'Nothing was taken, since a row behind it would seem to be removed',
    )
  }

  /** Finds, for each column that the newest entry of a key does not tell, the last entry that tells it. */
  async #findUnknown(connection: DuckDBConnection): Promise<void> {
    if (this.#unknown.size === 0) return
    const emptied = this.#emptied.map(
      ({ partition, offset }) =>
        `AND NOT (p.part = ${partition} AND p.off < ${offset} AND g.off > ${offset})`,
    )
    const names = [...this.#unknown].map(name => `SELECT ${quoteText(name)} AS col`).join(' UNION ALL ')
    const lists = `list_contains(${listOfTexts('g.unknown')}, c.col)`
    const tells = `NOT coalesce(list_contains(${listOfTexts('p.unknown')}, c.col), false)`
    await connection.run(
      `CREATE TABLE ${STAGED}.main.lacking AS SELECT n.k, n.part, n.off, n.kind, e.unknown
       FROM ${STAGED}.main.newest AS n JOIN ${STAGED}.main.entries AS e USING (part, off) WHERE e.unknown IS NOT NULL`,
    )
    await connection.run(
      `CREATE TABLE ${STAGED}.main.earlier AS SELECT g.k, p.part, p.off, p.kind, p.unknown
       FROM ${STAGED}.main.entries AS p JOIN ${STAGED}.main.lacking AS g
         ON md5_number(p.identity) = g.k AND p.part = g.part AND p.off < g.off ${emptied.join(' ')}`,
    )
    // A row that was removed and comes back has nothing of the row before. The key of an unreadable record
    // still tells which row it was.
    await connection.run(
      `CREATE TABLE ${STAGED}.main.told AS
       SELECT g.k, c.col, max(p.off) AS off FROM ${STAGED}.main.lacking AS g JOIN ${STAGED}.main.earlier AS p USING (k)
         LEFT JOIN (SELECT k, max(off) AS off FROM ${STAGED}.main.earlier WHERE kind = ${REMOVED} GROUP BY k) AS gone USING (k)
         CROSS JOIN (${names}) AS c
       WHERE p.kind = ${ROW} AND ${lists} AND ${tells}
         AND (g.kind <> ${ROW} OR gone.off IS NULL OR p.off > gone.off)
       GROUP BY ALL`,
    )
  }

  /** Returns the columns of the newest rows; of all entries if there are no rows. */
  async #columns(connection: DuckDBConnection): Promise<readonly TopicColumn[]> {
    const used = await connection.runAndReadAll(
      `SELECT DISTINCT e.shape FROM ${STAGED}.main.newest AS n JOIN ${STAGED}.main.entries AS e USING (part, off)`,
    )
    const ids = new Set(used.getRows().map(([id]) => Number(id)))
    const shapes = ids.size === 0 ? this.#shapeList : this.#shapeList.filter(({ id }) => ids.has(id))
    const places = new Map<string, ColumnPlaces>()
    const put = (name: string, more: Partial<ColumnPlaces>): void => {
      const { fixed = [], loose = null } = places.get(name) ?? {}
      const column = { name, fixed: [...fixed, ...(more.fixed ?? [])], loose: more.loose ?? loose }
      places.set(name, column)
    }
    for (const { id, columns } of shapes)
      for (const [index, { name, carrier }] of columns.entries())
        put(name, { fixed: [{ shape: id, index, carrier }] })
    for (const { name, shape } of await this.#toldElsewhere(connection, shapes)) {
      const index = this.#shapeList[shape]?.columns.findIndex(column => column.name === name) ?? -1
      const carrier = this.#shapeList[shape]?.columns[index]?.carrier
      if (carrier !== undefined) put(name, { fixed: [{ shape, index, carrier }] })
    }
    for (const [name, { index, kinds }] of this.#loose)
      put(name, { loose: { index, kinds: await this.#kindsInUse(connection, index, kinds) } })
    for (const name of this.#options.primaryKey) if (!places.has(name) && places.size > 0) put(name, {})
    return [...places.values()].map(topicColumn)
  }

  /** Returns the columns that entries of other shapes tell for the newest rows. */
  async #toldElsewhere(
    connection: DuckDBConnection,
    shapes: readonly Shape[],
  ): Promise<readonly { readonly name: string; readonly shape: number }[]> {
    if (this.#unknown.size === 0) return []
    const reader = await connection.runAndReadAll(
      `SELECT DISTINCT t.col, e.shape FROM ${STAGED}.main.told AS t JOIN ${STAGED}.main.lacking AS g USING (k)
       JOIN ${STAGED}.main.entries AS e ON e.part = g.part AND e.off = t.off`,
    )
    const used = new Set(shapes.map(({ id }) => id))
    return reader
      .getRows()
      .map(([name, shape]) => ({ name: String(name), shape: Number(shape) }))
      .filter(({ shape }) => !used.has(shape))
  }

  /** Returns the kinds of a column's values in the newest rows. One kind needs no look. */
  async #kindsInUse(
    connection: DuckDBConnection,
    index: number,
    kinds: ReadonlySet<string>,
  ): Promise<ReadonlySet<string>> {
    if (kinds.size <= 1) return kinds
    const reader = await connection.runAndReadAll(
      `SELECT DISTINCT left(${listOfTexts('e.l')}[${index + 1}], 1) FROM ${STAGED}.main.newest AS n
       JOIN ${STAGED}.main.entries AS e USING (part, off) WHERE e.l IS NOT NULL`,
    )
    const found = reader.getRows().flatMap(([kind]) => (typeof kind === 'string' ? [kind] : []))
    return new Set(found)
  }

  /** Returns SQL for the newest rows, with the reason of each that is invalid. */
  #select(columns: readonly TopicColumn[]): string {
    const lists = (e: string): string =>
      `SELECT part, off, shape, unknown, why, kind, ${listOfTexts(`${e}.v`)} AS v, ${listOfTexts(`${e}.l`)} AS l FROM ${STAGED}.main.entries AS ${e}`
    const told = [...this.#unknown].filter(name => columns.some(column => column.name === name))
    const joins = told.map(
      (name, index) => `
        LEFT JOIN ${STAGED}.main.told AS t${index} ON t${index}.k = n.k AND t${index}.col = ${quoteText(name)}
        LEFT JOIN (${lists('p')}) AS p${index} ON p${index}.part = n.part AND p${index}.off = t${index}.off`,
    )
    const place = `${quoteText(`${this.#options.topic}, partition `)} || n.part || ', offset ' || n.off`
    const values = columns.map((column, index) => {
      const at = told.indexOf(column.name)
      const own = column.value('e')
      const value =
        at < 0
          ? own
          : `CASE WHEN ${hasText('e.unknown', column.name)} THEN ${column.value(`p${at}`)} ELSE ${own} END`
      return `${value} AS c${index}`
    })
    const texts = columns.flatMap((column, index) =>
      isAnyText(column) ? [] : [`(${column.text('e')}) AS t${index}`],
    )
    const inner = `SELECT ${[...values, ...texts].join(', ')}, e.why, e.kind, e.unknown, n.tied, ${place} AS place
      FROM ${STAGED}.main.newest AS n JOIN (${lists('e')}) AS e ON e.part = n.part AND e.off = n.off ${joins.join('')}`
    const named = columns.map(({ name }, index) => `c${index} AS ${quoteIdentifier(name)}`)
    return `SELECT ${named.join(', ')}, ${whyInvalid(columns, told)} AS ${quoteIdentifier(WHY_INVALID)},
      kind = ${UNREADABLE} AND unknown IS NOT NULL AS ${quoteIdentifier(LACKS_KEY)} FROM (${inner})`
  }

  /** An unreadable record whose row cannot be found would read as a removal of that row. */
  async #assertRowsTold(
    connection: DuckDBConnection,
    primaryKey: readonly string[],
    columns: readonly TopicColumn[],
  ): Promise<void> {
    const known = primaryKey.filter(name => columns.some(column => column.name === name))
    if (this.#unknown.size === 0 || known.length === 0) return
    const nulls = known.map(name => `${quoteIdentifier(name)} IS NULL`).join(' OR ')
    const reader = await connection.runAndReadAll(
      `SELECT ${quoteIdentifier(WHY_INVALID)} FROM ${STAGED}.main.changes
       WHERE (${nulls}) AND ${quoteIdentifier(LACKS_KEY)} LIMIT 1`,
    )
    const [why] = reader.getRows()[0] ?? []
    if (typeof why !== 'string') return
    throw this.#failure(
      `has a record that cannot be read and whose row is not known, at ${why}. ` +
        'Nothing was taken, since its row would seem to be removed',
    )
  }

  #failure(what: string): SluiceError {
    const { model, topic } = this.#options
    return topicError(`The topic ${topic} of model ${model.name} ${what}.`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { file } = this.#options
    await this.#session[Symbol.asyncDispose]()
    const paths = [`${file}.staged`, `${file}.staged.wal`, `${file}.tmp`]
    await Promise.all(paths.map(path => rm(path, { recursive: true, force: true })))
  }
}

const ANY_TEXT = new Set(['text', 'json', 'bytes'])

function isAnyText({ carrier }: TopicColumn): boolean {
  return ANY_TEXT.has(carrier.type.kind)
}

/** A column that is true for an unreadable record whose row an earlier record has to tell. */
const LACKS_KEY = 'sluice: an earlier record tells the key'
const MAX_SHOWN = 100

/** Returns SQL for the reason that makes a row invalid; null for a valid row. */
function whyInvalid(columns: readonly TopicColumn[], told: readonly string[]): string {
  const unreadable = `WHEN kind <> ${ROW} THEN place || ': ' || why`
  const tied = `WHEN tied THEN place || ': another partition has an entry of the same key and the same time, so that the newer one is not known'`
  const lacking = told.map(name => {
    const index = columns.findIndex(column => column.name === name)
    const reason = quoteText(
      `: the database did not tell the unchanged value of column "${name}", and no earlier record does: ALTER TABLE … REPLICA IDENTITY FULL makes it tell all values`,
    )
    return `WHEN ${hasText('unknown', name)} AND c${index} IS NULL THEN place || ${reason}`
  })
  const failing = columns.flatMap((column, index) => {
    if (isAnyText(column)) return []
    const reason = `place || ${quoteText(`: column "${column.name}" has `)} || left(t${index}, ${MAX_SHOWN}) || ${quoteText(`, which no ${column.carrier.type.kind} of Sluice can hold`)}`
    return [`WHEN t${index} IS NOT NULL AND c${index} IS NULL THEN ${reason}`]
  })
  return `CASE ${[unreadable, tied, ...lacking, ...failing].join(' ')} END`
}
