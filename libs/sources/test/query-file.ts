import { DuckDBInstance } from '@duckdb/node-api'

/** Runs SQL in a DuckDB instance of its own and returns the rows. */
export async function queryFile(file: string, sql: string): Promise<object[]> {
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  try {
    await connection.run("SET TimeZone = 'UTC'")
    return (await connection.runAndReadAll(sql)).getRowObjectsJson()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
