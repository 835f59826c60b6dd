import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import type { ModelSpec } from '@sluice/contracts/resources'
import { BOUNDS, readerOf, sliceOf, streamContract, type Written } from '../../test/stream-contract.ts'
import { createPostgresStreamSource } from './postgres-stream.ts'

const url = inject('postgresUrl')
const address = new URL(url ?? 'postgres://nobody@127.0.0.1:1/none')
const { signal } = new AbortController()

function open(sync: string, fields: { readonly url?: string } = {}) {
  return createPostgresStreamSource({
    spec: { kind: 'source', name: 'crm', type: 'postgres', url: address.href, follow: {}, ...fields },
    secretFor: name => name,
    sync,
  })
}

function modelOf(table: string, primaryKey: ModelSpec['primaryKey'] = 'id'): ModelSpec {
  return { kind: 'model', name: 'people', source: 'crm', table, primaryKey }
}

describe.skipIf(url === null)('PostgreSQL', { timeout: 60_000 }, () => {
  let admin: pg.Client
  beforeAll(async () => {
    admin = new pg.Client({ connectionString: url ?? '' })
    await admin.connect()
  })
  afterAll(() => admin.end())

  /** Makes a table, and the name of a sync that follows it. Both are gone at the end. */
  async function tableOf(columns: string) {
    const table = `t${randomUUID().replaceAll('-', '')}`
    await admin.query(`CREATE TABLE ${table} (${columns})`)
    return {
      table,
      sync: table,
      model: modelOf(table),
      slot: `sluice_${table}`,
      async [Symbol.asyncDispose]() {
        await using source = open(table)
        await source.release(modelOf(table), { signal })
        await admin.query(`DROP TABLE IF EXISTS ${table}`)
        await admin.query(`DROP PUBLICATION IF EXISTS sluice_${table}`)
      },
    }
  }

  const endReaders = (slot: string) =>
    admin.query(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot}' AND active`,
    )

  streamContract('postgres', () => ({
    async make() {
      const { table, sync, model, slot, ...rest } = await tableOf('id int PRIMARY KEY, name text, note text')
      await admin.query(`ALTER TABLE ${table} ALTER note SET STORAGE EXTERNAL`)
      return {
        model,
        open: () => open(sync),
        async write(...changes: readonly Written[]) {
          await admin.query('BEGIN')
          for (const { id, row } of changes)
            if (row === null) await admin.query(`DELETE FROM ${table} WHERE id = $1`, [id])
            else
              await admin.query(
                `INSERT INTO ${table} VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET name = $2, note = $3`,
                [id, row.name, row.note],
              )
          await admin.query('COMMIT')
        },
        breaks: {
          truncated: async () => void (await admin.query(`TRUNCATE ${table}`)),
          columns: async () => {
            await admin.query(`ALTER TABLE ${table} ADD more int; INSERT INTO ${table} (id) VALUES (77)`)
          },
          lost: async () => void (await admin.query(`SELECT pg_drop_replication_slot('${slot}')`)),
        },
        changeKey: async (from, { id, name, note }) => {
          await admin.query(`UPDATE ${table} SET id = $2, name = $3, note = $4 WHERE id = $1`, [
            from,
            id,
            name,
            note,
          ])
        },
        writeLacking: async (id, name) => {
          await admin.query(`UPDATE ${table} SET name = $2 WHERE id = $1`, [id, name])
        },
        disconnect: async () => void (await endReaders(slot)),
        ...rest,
      }
    },
  }))
})
