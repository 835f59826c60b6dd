import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { expect, it } from 'vitest'
import { rowsOf } from '../sql/rows-of.ts'
import { cutPieces } from './cut-pieces.ts'
import { GATHERED, gatherStored } from './order-changes.ts'

const ROWS = 2_000_000
const CHANGES = ROWS / 2
const PIECE_ROWS = 65_536

it('gathers half of the rows of a large state from all over it within little memory', async () => {
  const temporary = await mkdtemp(join(tmpdir(), 'sluice-gathered-'))
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', temp_directory: temporary })
  const connection = await instance.connect()
  try {
    await connection.run(`
      CREATE TABLE stored AS
        SELECT range::VARCHAR AS key, repeat('x', 80) || range AS content, 87::UINTEGER AS size FROM range(${ROWS});
      CREATE TEMP TABLE ordered AS
        SELECT range * 2 AS rid, range * 2 * 7919 % ${ROWS} AS srid FROM range(${CHANGES});
      SET memory_limit = '32MB'`)
    expect(await gatherStored(connection, false)).toBe(true)
    const sized = { from: `(SELECT range AS rid FROM range(${ROWS}))`, size: '100', keySize: '0' }
    const cut = { rows: CHANGES, pieceRows: PIECE_ROWS, columns: 3, sized, gathered: true }
    const pieces = await cutPieces(connection, cut)
    expect([pieces[0]?.start, pieces.at(-1)?.end]).toEqual([0, CHANGES])
    // 250 bytes a row: 8 MB are about 32,000 rows.
    const largest = Math.max(...pieces.map(({ start, end }) => end - start))
    expect(largest).toBeGreaterThan(25_000)
    expect(largest).toBeLessThan(PIECE_ROWS)
    const found = await rowsOf(
      connection,
      `SELECT count(*), count(*) FILTER (g.place = g.rowid AND g.key = o.srid::VARCHAR AND g.content = repeat('x', 80) || o.srid)
      FROM ${GATHERED} g JOIN ordered o ON o.rowid = g.place`,
    )
    expect(found.map(counts => counts.map(Number))).toEqual([[CHANGES, CHANGES]])
  } finally {
    connection.closeSync()
    instance.closeSync()
    await rm(temporary, { recursive: true, force: true })
  }
})
