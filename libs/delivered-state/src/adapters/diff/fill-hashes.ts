/**
 * Gives stored rows their hashes over the columns that are compared now. It takes wide rows stretch by
 * stretch, and many columns group by group, and keeps only the hashes of all rows together.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { gatheredHash, groupsOf, hashOfParsed, parseStored, type RowHash } from './row-hash.ts'
import { isInSlice, type Slice, tableSlices } from './row-slices.ts'
import type { Shape } from '../state/shapes.ts'

export interface Filling {
  readonly hash: RowHash
  readonly shapes: readonly Shape[]
  /** True: every stored row gets a new hash. False: only rows without a hash get one. */
  readonly all: boolean
}

export async function fillHashes(
  connection: DuckDBConnection,
  { hash, shapes, all }: Filling,
): Promise<void> {
  // A row with a size has a content. A condition on the content itself would make DuckDB read it.
  const missing = all ? 'size IS NOT NULL' : 'size IS NOT NULL AND hash IS NULL'
  const { slices } = await tableSlices(connection, { table: 'stored', size: 'size', where: missing })
  if (slices.length === 0) return
  const isOneStep = slices.length === 1 && groupsOf(hash.columns).length === 1
  if (!isOneStep) return fillInParts(connection, { hash, shapes, missing, slices })
  await connection.run(`
    UPDATE stored SET hash = made.made_hash FROM (
      SELECT rid, ${hash.ofParsedByShape(shapes, 'shape', 'parsed')} AS made_hash
      FROM (SELECT rowid AS rid, shape, ${hash.parseStored('content')} AS parsed FROM stored WHERE ${missing})
    ) AS made WHERE stored.rowid = made.rid`)
}

async function fillInParts(
  connection: DuckDBConnection,
  of: Omit<Filling, 'all'> & { readonly missing: string; readonly slices: readonly Slice[] },
): Promise<void> {
  const { hash, shapes, missing, slices } = of
  const kinds = hash.kindsOf(shapes)
  await connection.run(
    'CREATE OR REPLACE TEMP TABLE made (rid BIGINT, of USMALLINT, part USMALLINT, hash UHUGEINT)',
  )
  for (const [index, { columns, isOne }] of kinds.entries())
    for (const [part, group] of groupsOf(columns).entries())
      for (const slice of slices)
        await connection.run(`
          INSERT INTO made SELECT rid, ${index}, ${part}, ${hashOfParsed(group, 'parsed')}
          FROM (SELECT rowid AS rid, ${parseStored(group, 'content')} AS parsed FROM stored
            WHERE ${isInSlice('rowid', slice)} AND ${missing} AND ${isOne})`)
  for (const [index, { columns }] of kinds.entries())
    await connection.run(`
      UPDATE stored SET hash = gathered.hash FROM (
        SELECT rid, ${gatheredHash(groupsOf(columns).length, 'true')} AS hash FROM made WHERE of = ${index} GROUP BY rid
      ) AS gathered WHERE stored.rowid = gathered.rid`)
  await connection.run('DROP TABLE made')
}
