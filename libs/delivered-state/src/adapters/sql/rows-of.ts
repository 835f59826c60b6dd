import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'

/**
 * Runs one statement and returns all rows of its result, which has to be small. The rows are in memory once
 * the statement has run. A reader of the binding would wait for a thread twice more.
 */
export async function rowsOf(
  connection: DuckDBConnection,
  sql: string,
): Promise<readonly (readonly DuckDBValue[])[]> {
  const result = await connection.run(sql)
  return Array.from({ length: result.chunkCount }, (_, index) => result.getChunk(index).getRows()).flat()
}
