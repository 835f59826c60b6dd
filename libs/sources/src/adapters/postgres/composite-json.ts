/**
 * Makes JSON of composite values. The log prints a row type as `(1,"a b")`, and only the server knows its
 * fields.
 */
import type { Client } from 'pg'
import { SETTINGS } from './connection.ts'
import type { FollowedColumn } from './followed-table.ts'

/**
 * Returns the JSON of each text, as a query of the column would print it. Rejects with pg's error, also if
 * the type has had other fields.
 */
export async function compositesAsJson(
  client: Client,
  { typeName, select }: FollowedColumn,
  texts: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await client.query<{ json: string }>(
    `SELECT ${select(`CAST(text AS ${typeName})`)}::text AS json FROM unnest($1::text[]) WITH ORDINALITY AS t(text, place) ORDER BY place`,
    [texts],
  )
  return rows.map(({ json }) => json)
}

/** Makes the session print values as the log and a query do. */
export async function printAsQueries(client: Client): Promise<void> {
  await client.query(SETTINGS.map(setting => `SET ${setting}`).join(';'))
}
