import { afterAll, beforeAll, describe, inject } from 'vitest'
import { FollowedTables } from '../../test/followed-tables.ts'
import { streamContract, type Written } from '../../test/stream-contract.ts'

const url = inject('postgresUrl')

describe.skipIf(url === null)('PostgreSQL', () => {
  const tables = new FollowedTables(new URL(url ?? 'postgres://nobody@127.0.0.1:1/none'))
  const { admin } = tables
  beforeAll(() => tables.connect())
  afterAll(() => tables[Symbol.asyncDispose]())

  streamContract(
    'postgres',
    () => ({
      async make() {
        const made = await tables.make(
          'CREATE TABLE FOLLOWED (id int PRIMARY KEY, name text, note text); ALTER TABLE FOLLOWED ALTER note SET STORAGE EXTERNAL',
        )
        const { table, slot } = made
        const run = async (sql: string, values: readonly unknown[] = []): Promise<void> => {
          await admin.query(sql, [...values])
        }
        return {
          ...made,
          open: () => made.open(),
          async write(...changes: readonly Written[]) {
            await run('BEGIN')
            for (const { id, row } of changes)
              if (row === null) await run(`DELETE FROM ${table} WHERE id = $1`, [id])
              else
                await run(
                  `INSERT INTO ${table} VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET name = $2, note = $3`,
                  [id, row.name, row.note],
                )
            await run('COMMIT')
          },
          breaks: {
            truncated: () => run(`TRUNCATE ${table}`),
            columns: () => run(`ALTER TABLE ${table} ADD more int; INSERT INTO ${table} (id) VALUES (77)`),
            lost: () => run(`SELECT pg_drop_replication_slot('${slot}')`),
          },
          changeKey: (from, { id, name, note }) =>
            run(`UPDATE ${table} SET id = $2, name = $3, note = $4 WHERE id = $1`, [from, id, name, note]),
          writeLacking: (id, name) => run(`UPDATE ${table} SET name = $2 WHERE id = $1`, [id, name]),
          disconnect: () => tables.endReaders(slot),
        }
      },
    }),
    { cannot: ['repeat', 'writeUnreadable', 'snapshot', 'history', 'partitions'] },
  )
})
