/** A database of PostgreSQL for one test, in which a stream may make slots and publications. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'

export interface OwnDatabase extends AsyncDisposable {
  readonly url: string
  readonly client: pg.Client
}

/** Disposing drops it, with its slots: nobody may read them any more. */
export async function ownDatabase(postgresUrl: string): Promise<OwnDatabase> {
  const name = `own_${randomUUID().replaceAll('-', '')}`
  const server = new pg.Client({ connectionString: postgresUrl })
  await server.connect()
  await server.query(`create database ${name}`)
  const url = new URL(postgresUrl)
  url.pathname = `/${name}`
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  return {
    url: url.href,
    client,
    async [Symbol.asyncDispose]() {
      await client.query(
        'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1',
        [name],
      )
      await client.end()
      await server.query(`drop database ${name} with (force)`)
      await server.end()
    },
  }
}
