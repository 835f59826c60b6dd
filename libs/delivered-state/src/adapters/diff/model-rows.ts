/**
 * The data that the diff needs of each row of the model: its key, its hashes and its bytes. For narrow rows,
 * the join computes them. For wide rows they are computed before the join, slice by slice and group of
 * columns by group, into the temporary table `model`. So everything after that works on narrow rows.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Column } from '@sluice/contracts/values'
import type { Shape } from '../state/shapes.ts'
import { gatheredHash, groupsOf, hashOfExtracted, type RowHash } from './row-hash.ts'
import { isInSlice, type KeyPart, type Slice } from './row-slices.ts'

const MODEL = 'model'

/** A key of more bytes than this is compared by a digest, so that many keys fit into memory. */
export const MAX_TOKEN_BYTES = 64

/**
 * Returns SQL for the token of a key, by which keys are compared: the key itself, or a digest. A digest is
 * longer than any key that is its own token.
 */
export function keyToken(key: string): string {
  return `CASE WHEN strlen(${key}) > ${MAX_TOKEN_BYTES} THEN '#' || sha256(${key}) ELSE ${key} END`
}

export interface ModelRows {
  readonly extracted: string
  readonly columns: readonly Column[]
  readonly place: (column: Column) => string
  /** SQL for the key of a row, and SQL that is true for rows whose key records can carry. */
  readonly key: string
  readonly valid: string
  readonly hash: RowHash
  /** Shapes that lack some of the compared columns. */
  readonly incomplete: readonly Shape[]
  /** Null if rows are narrow. */
  readonly slices: readonly Slice[] | null
}

/**
 * Returns SQL for the rows of a part of the keys: `rid`, `key` (a token), `hash`, and `hash_<id>` for each
 * incomplete shape.
 */
export async function modelRows(
  connection: DuckDBConnection,
  model: ModelRows,
): Promise<(part: KeyPart) => string> {
  const { extracted, place, key, valid, hash, incomplete, slices } = model
  if (slices !== null) {
    await makeModel(connection, model, slices)
    return part => `SELECT * EXCLUDE (size, key_size) FROM ${MODEL} WHERE ${part('key')}`
  }
  const hashes = incomplete.map(
    shape => `, ${hash.ofExtracted(hash.columnsIn(shape), place)} AS hash_${shape.id}`,
  )
  // DuckDB would make the hashes of all rows if the condition were outside.
  return part => `
    SELECT rid, ${keyToken(key)} AS key, ${hash.ofExtracted(hash.columns, place)} AS hash ${hashes.join('')}
    FROM ${extracted} WHERE ${valid} AND ${part(keyToken(key))}`
}

/** Columns that are read together, for a part of a hash, of the bytes, or of both. */
interface Part {
  /** The number of the hash; 0 for columns that are only measured. */
  readonly hashNumber: number
  readonly part: number
  readonly hashed: readonly Column[] | null
  readonly measured: readonly Column[]
}

async function makeModel(
  connection: DuckDBConnection,
  model: ModelRows,
  slices: readonly Slice[],
): Promise<void> {
  const { extracted, columns, place, key, valid, hash, incomplete } = model
  const parts: readonly Part[] = [
    ...partsOf(1, hash.columns, true),
    ...incomplete.flatMap((shape, index) => partsOf(index + 2, hash.columnsIn(shape), false)),
    ...groupsOf(columns.filter(({ name }) => hash.columns.every(compared => compared.name !== name))).map(
      (measured, part): Part => ({ hashNumber: 0, part, hashed: null, measured }),
    ),
  ]
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE model_keys (rid BIGINT, key VARCHAR, key_size BIGINT);
    CREATE OR REPLACE TEMP TABLE model_parts (rid BIGINT, of USMALLINT, part USMALLINT, hash UHUGEINT, size BIGINT)`)
  for (const slice of slices)
    await connection.run(
      `INSERT INTO model_keys SELECT rid, ${keyToken(key)}, strlen(${key}) FROM ${extracted} WHERE ${isInSlice('rid', slice)} AND ${valid}`,
    )
  for (const { hashNumber, part, hashed, measured } of parts)
    for (const slice of slices)
      await connection.run(`
        INSERT INTO model_parts SELECT rid, ${hashNumber}, ${part}, ${hashed === null ? 'NULL' : hashOfExtracted(hashed, place)},
          ${rowBytes(measured, place)} FROM ${extracted} WHERE ${isInSlice('rid', slice)}`)
  const hashes = incomplete.map(
    (shape, index) =>
      `, ${gatheredHash(groupsOf(hash.columnsIn(shape)).length, `of = ${index + 2}`)} AS hash_${shape.id}`,
  )
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${MODEL} AS
    SELECT rid, any_value(key) AS key, ${gatheredHash(groupsOf(hash.columns).length, 'of = 1')} AS hash ${hashes.join('')},
      sum(size)::BIGINT AS size, any_value(key_size) AS key_size
    FROM model_keys JOIN model_parts USING (rid) GROUP BY rid ORDER BY rid;
    DROP TABLE model_keys; DROP TABLE model_parts`)
}

function partsOf(hashNumber: number, columns: readonly Column[], measures: boolean): readonly Part[] {
  return groupsOf(columns).map((hashed, part) => ({
    hashNumber,
    part,
    hashed,
    measured: measures ? hashed : [],
  }))
}

/** Returns SQL for the bytes of a row's values of unbounded types. Values of other types take few bytes. */
export function rowBytes(columns: readonly Column[], place: (column: Column) => string): string {
  return sumSql(columns.flatMap(column => sizeOf(column, place(column))).map(size => `coalesce(${size}, 0)`))
}

function sizeOf({ type }: Column, x: string): readonly string[] {
  switch (type.kind) {
    case 'text':
    case 'json':
      return [`strlen(CAST(${x} AS VARCHAR))`]
    case 'bytes':
      return [`octet_length(${x})`]
    // Numbers in a list may take twice the bytes of their text.
    case 'list':
    case 'struct':
      return [`2 * strlen(CAST(${x} AS VARCHAR))`]
    default:
      return []
  }
}

/** The bytes of the model's rows by `rid`: in the table `model`, or as SQL that measures each row. */
export interface SizedRows {
  readonly from: string
  /** SQL for the bytes of a row. */
  readonly size: string
  /** SQL for the bytes of its key, which a change carries beside the row; `0` for narrow rows. */
  readonly keySize: string
}

export function sizedRows({
  extracted,
  columns,
  place,
  slices,
}: Pick<ModelRows, 'extracted' | 'columns' | 'place' | 'slices'>): SizedRows {
  return slices === null
    ? { from: extracted, size: rowBytes(columns, place), keySize: '0' }
    : { from: MODEL, size: 'size', keySize: 'key_size' }
}

/**
 * Returns SQL for a sum of any number of terms, such as the sizes of a row's columns. It halves the terms,
 * since `a + b + c + …` nests one level for each term, and DuckDB takes no expression of a depth above 1,000.
 */
export function sumSql(terms: readonly string[]): string {
  const [first = '0'] = terms
  if (terms.length <= 1) return first
  const half = Math.ceil(terms.length / 2)
  return `(${sumSql(terms.slice(0, half))} + ${sumSql(terms.slice(half))})`
}
