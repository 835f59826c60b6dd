/** The table that change detection is measured on: seven columns, about 125 bytes a row. */
import type { Client } from 'pg'

export const TABLE = 'sluice_bench_customers'

/** Makes the table with ids from 1 on. */
export async function prepareTable(client: Client, rows: number): Promise<void> {
  await client.query(`DROP TABLE IF EXISTS ${TABLE}`)
  await client.query(`CREATE TABLE ${TABLE} AS SELECT g AS id, 'Customer number ' || g AS name,
    'c' || g || '@example.com' AS email, (g * 1.37)::numeric(12,2) AS amount,
    timestamptz '2026-01-01 00:00+00' - g * interval '1 second' AS seen_at, g % 7 = 0 AS vip, md5(g::text) AS note
    FROM generate_series(1, ${rows}) AS g`)
  await client.query(`ALTER TABLE ${TABLE} ADD PRIMARY KEY (id)`)
  await client.query(`VACUUM ANALYZE ${TABLE}`)
}

/** Changes half of a hundredth of the rows, and removes and adds a quarter of it each. */
export async function churn(client: Client, rows: number): Promise<void> {
  await client.query(`UPDATE ${TABLE} SET name = name || '!' WHERE id % 200 = 0`)
  await client.query(`DELETE FROM ${TABLE} WHERE id % 400 = 1`)
  await client.query(`INSERT INTO ${TABLE} SELECT id + ${rows}, name, email, amount, seen_at, vip, note
    FROM ${TABLE} WHERE id % 400 = 2`)
  await client.query(`VACUUM ANALYZE ${TABLE}`)
}
