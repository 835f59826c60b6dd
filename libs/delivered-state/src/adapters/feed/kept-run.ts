/**
 * Keeps the rows that a run adds to an empty state, as the state has them once all are delivered. So the next
 * run need not read them from `changes` (docs/decisions/state-of-a-first-run.md). They are in a table of
 * their own. If the topic confirms them, the table replaces the state's rows. Otherwise it is dropped.
 */
import { statSync } from 'node:fs'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Column } from '@sluice/contracts/values'
import type { DiffRequest, KeptRun, PublishedRun } from '../../port.ts'
import { EXTRACTED, type FoundChanges, placeOf } from '../diff/find-changes.ts'
import { COPIED_ROWS } from '../diff/read-new-rows.ts'
import { groupsOf, type RowHash } from '../diff/row-hash.ts'
import { isInSlice, VECTOR_ROWS } from '../diff/row-slices.ts'
import { quoteText, readingOfExtracted } from '../sql/sql-types.ts'
import { ABSENT, ADDED, PRESENT, type Shapes } from '../state/shapes.ts'
import { inTransaction, metaSql, type StateMeta } from '../state/state-meta.ts'
import { groupRowsFor, STATE_COLUMNS } from '../state/stored-rows.ts'
import { rowsOf } from '../sql/rows-of.ts'

const KEPT = 'kept'
/** Invalid rows divide the extract into ranges, each of which takes a query of its own. */
const MAX_RANGES = 32
const SAFE = Number.MAX_SAFE_INTEGER

export interface Keeping {
  readonly connection: DuckDBConnection
  readonly request: DiffRequest
  readonly found: FoundChanges
  readonly hash: RowHash
  readonly shapes: Shapes
  /** Sets the number of rows of the row groups that are written from now on. */
  readonly useGroups: (groupRows: number) => Promise<void>
}

/** Returns SQL for the member of a stored row; null for a type whose stored form SQL does not make. */
function memberSql({ name, type }: Column, x: string): string | null {
  const reading = readingOfExtracted(type, x)
  const numberIf = (isNumber: string): string =>
    `CASE WHEN ${isNumber} THEN ${reading} ELSE '"' || ${reading} || '"' END`
  const valueSql = (): string | null => {
    switch (type.kind) {
      case 'boolean':
      case 'integer':
        return reading
      case 'long':
        return numberIf(`${x} BETWEEN -${SAFE} AND ${SAFE}`)
      case 'decimal':
        return type.scale === 0 ? numberIf(`${x} BETWEEN -${SAFE} AND ${SAFE}`) : `'"' || ${reading} || '"'`
      case 'double':
        return numberIf(`isfinite(${x}) AND NOT (${x} = 0 AND signbit(${x}))`)
      case 'float':
      case 'list':
      case 'struct':
        return null
      default:
        return `CAST(to_json(CAST(${reading} AS VARCHAR)) AS VARCHAR)`
    }
  }
  const value = valueSql()
  return value === null ? null : `${quoteText(`${JSON.stringify(name)}:`)}, coalesce(${value}, 'null')`
}

/** Returns SQL for a row as the state has it; null if SQL does not make the stored form of some column. */
function contentSql(columns: readonly Column[], place: (column: Column) => string): string | null {
  const members = columns.map(column => memberSql(column, place(column)))
  return members.includes(null) ? null : `concat('{', ${members.join(`, ',', `)}, '}')`
}

/**
 * Keeps the rows of a run. Resolves with false if it did more than to add rows to an empty state, or they are
 * wide.
 */
export async function keepRun(
  { connection, request, found, hash, shapes, useGroups }: Keeping,
  { run, runId, ends, blockRows }: PublishedRun,
): Promise<boolean> {
  const { added, settled, removed, changed } = found
  const addsOnly = settled.rows + removed.rows + changed.rows === 0 && !added.known && !added.captured
  const place = placeOf(request.columns)
  const content = contentSql(request.columns, place)
  const isPlain = content !== null && found.slices === null && groupsOf(request.columns).length === 1
  if (!addsOnly || !isPlain || added.rows === 0 || !(await isEmptyState(connection))) return false
  const ranges = await rowsOf(
    connection,
    `SELECT min(rid), max(rid) + 1, min(rowid) FROM ordered GROUP BY rid - rowid ORDER BY 1 LIMIT ${MAX_RANGES + 1}`,
  )
  if (ranges.length > MAX_RANGES) return false
  // The diff's tables would take the memory in which row groups wait until they are written.
  await connection.run(`DROP TABLE ordered; DROP TABLE IF EXISTS temp.${COPIED_ROWS}`)
  const rowBytes = statSync(request.extractFile).size / added.rows
  await useGroups(groupRowsFor(added.rows, VECTOR_ROWS * rowBytes))
  const shape = shapes.idOf(request.columns.map(({ name }) => name))
  const saving = shapes.saving()
  const partitions = ends.length
  await inTransaction(connection, async () => {
    if (saving.sql !== '') await connection.run(saving.sql)
    await connection.run(`CREATE OR REPLACE TABLE ${KEPT} (${STATE_COLUMNS})`)
    for (const [from, to, first] of ranges) {
      const placeInRun = `(rid - ${Number(from)} + ${Number(first)})`
      await connection.run(`
        INSERT INTO ${KEPT} SELECT key, ${PRESENT}, hash, ${shape}, content, place // ${blockRows} % ${partitions}, ${run},
          place // ${blockRows * partitions} * ${blockRows} + place % ${blockRows}, NULL, strlen(content)
        FROM (SELECT ${placeInRun} AS place, ${found.key} AS key, ${hash.ofExtracted(hash.columns, place)} AS hash, ${content ?? ''} AS content
          FROM ${EXTRACTED} WHERE ${isInSlice('rid', { from: Number(from), to: Number(to) })})`)
    }
    const counted = await rowsOf(connection, `SELECT partition, count(*) FROM ${KEPT} GROUP BY 1`)
    const counts = new Map(counted.map(([partition, rows]) => [Number(partition), Number(rows)]))
    const byPartition = ends.map((end, partition) => ({ end, count: counts.get(partition) ?? 0 }))
    const kept: KeptRun = { run, runId, partitions: byPartition }
    await connection.run(metaSql(KEPT, JSON.stringify(kept)))
  })
  saving.saved()
  return true
}

async function isEmptyState(connection: DuckDBConnection): Promise<boolean> {
  const tables = ['stored', 'dead', 'entries', 'doubts', 'captured', 'gone']
  const counts = tables.map(table => `(SELECT count(*) FROM (FROM ${table} LIMIT 1))`)
  const result = await rowsOf(connection, `SELECT ${counts.join(' + ')}`)
  return Number(result[0]?.[0]) === 0
}

/** Returns the run whose rows are kept; null if there is none. */
export function keptIn(meta: StateMeta): KeptRun | null {
  const value = meta.get(KEPT)
  return value === undefined ? null : (JSON.parse(value) as KeptRun)
}

/** Stages the kept changes that have an entry, so that the merge gives these their outcome. */
export async function stageEntered(connection: DuckDBConnection): Promise<void> {
  // This reads the columns that every diff reads, so that a damaged block shows before the rows are the
  // state.
  await connection.run(
    `SELECT count(key), max(kind), max(hash), max(shape), max(partition), max(run), max(seq), sum(strlen(content)) FROM ${KEPT}`,
  )
  await connection.run(`
    INSERT INTO stage_changes SELECT partition, key, ${ADDED}, run, seq, ${ABSENT}, NULL, NULL, content, shape, NULL, NULL, 0, size, size, 0
    FROM ${KEPT} k SEMI JOIN (SELECT partition, key FROM stage_retry UNION ALL SELECT partition, key FROM stage_doubts) e
      ON e.key = k.key AND e.partition = k.partition`)
}

/** Returns SQL that makes the kept rows the state, or drops them. */
export function endKeptSql(isTaken: boolean): string {
  const taken = `DROP TABLE stored; ALTER TABLE ${KEPT} RENAME TO stored;`
  return `${isTaken ? taken : `DROP TABLE IF EXISTS ${KEPT};`} DELETE FROM meta WHERE name = ${quoteText(KEPT)}`
}
