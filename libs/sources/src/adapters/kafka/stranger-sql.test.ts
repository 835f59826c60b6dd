/** The query of a stranger over a topic: it computes values of its rows, and reaches nothing else. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { ModelSpec } from '@sluice/contracts/resources'
import { WHY_INVALID } from '@sluice/contracts/values'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { errorOf } from '../../../test/contract.ts'
import { DuckdbSession } from '../duckdb/session.ts'
import { createRows } from './select-changes.ts'

let home = ''
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sluice-topic-attack-'))
  writeFileSync(join(home, 'secret.csv'), 'id,name\n1,hush-hush\n')
})
afterEach(() => {
  rmSync(home, { recursive: true, force: true })
})

/** The sources of files and topics alike may call these functions, or read by these names. */
const ATTACKS = [
  "SELECT * FROM read_text('{home}/secret.csv')",
  "SELECT * FROM read_csv('{home}/secret.csv')",
  "SELECT * FROM '{home}/secret.csv'",
  "SELECT id FROM changes, read_text('{home}/secret.csv')",
  "SELECT id FROM changes JOIN '{home}/secret.csv' USING (id)",
  "SELECT id, (SELECT content FROM read_text('{home}/secret.csv')) AS name FROM changes",
  "SELECT id FROM changes WHERE EXISTS (FROM read_text('{home}/secret.csv'))",
  "SELECT id FROM changes UNION ALL SELECT 1 FROM '{home}/secret.csv'",
  "WITH changes AS (FROM read_text('{home}/secret.csv')) SELECT * FROM changes",
  "SELECT * FROM changes ORDER BY (SELECT content FROM read_text('{home}/secret.csv'))",
  "SELECT list_transform([1], x -> (SELECT content FROM read_text('{home}/secret.csv'))) AS id FROM changes",
  "SELECT * REPLACE ((SELECT content FROM read_text('{home}/secret.csv')) AS id) FROM changes",
  "SELECT * FROM query('SELECT content FROM read_text(''{home}/secret.csv'')')",
  'SELECT * FROM memory.main.changes',
  'SELECT * FROM duckdb_settings()',
  "SELECT getenv('HOME') AS id FROM changes",
  "SELECT current_setting('temp_directory') AS id FROM changes",
  "SELECT json_execute_serialized_sql(json_serialize_sql('SELECT 1')) AS id FROM changes",
  "FROM enable_profiling(format := 'json', save_location := '{home}/new')",
  "ATTACH '{home}/new.duckdb'",
  "COPY (SELECT 1) TO '{home}/new.csv'",
  'INSTALL httpfs',
  'LOAD httpfs',
  'SET lock_configuration = false',
  "SELECT id FROM changes; COPY (SELECT 1) TO '{home}/new.csv'",
  "SELECT id FROM changes) AS q; COPY (SELECT 1) TO '{home}/new.csv'; SELECT * FROM (SELECT 1",
]

const COLUMNS = ['id', 'name'].map(name => ({ name, type: { kind: 'text' } as const }))

const modelOf = (sql: string): ModelSpec => ({
  kind: 'model',
  name: 'm',
  source: 's',
  topic: 't',
  format: 'rows',
  primaryKey: 'id',
  sql,
})

describe('SQL over a topic', () => {
  it.each(ATTACKS)('is refused by its text alone: %s', async attack => {
    // Nothing is locked here, so that only the check of the SQL stands in its way.
    const instance = await DuckDBInstance.create(':memory:')
    const connection = await instance.connect()
    try {
      await connection.run(
        `ATTACH ':memory:' AS sluice_extract; CREATE TABLE topic AS SELECT 1 AS id, 'Ann' AS name, NULL::VARCHAR AS "${WHY_INVALID}"`,
      )
      const error = await errorOf(
        createRows(connection, {
          model: modelOf(attack.replaceAll('{home}', home)),
          ...{ changes: 'topic', columns: COLUMNS, primaryKey: ['id'], limit: null },
        }),
      )
      expect(error.code).toBe('query')
      expect(error.message).not.toContain('hush-hush')
      expect(readdirSync(home)).toEqual(['secret.csv'])
    } finally {
      connection.closeSync()
      instance.closeSync()
    }
  })

  it('runs in a session that opens no file, loads nothing, and lets nobody change that', async () => {
    const limits = { memoryLimit: '64MB', threads: 1, tempDirectory: join(home, 'tmp') }
    await using session = await DuckdbSession.open(home, limits)
    await session.closeOff([])
    for (const sql of [
      `SELECT content FROM read_text('${home}/secret.csv')`,
      `SELECT * FROM '${home}/secret.csv'`,
      `COPY (SELECT 1) TO '${home}/new.csv'`,
      `ATTACH '${home}/new.duckdb'`,
      'INSTALL httpfs',
      'LOAD httpfs',
      'SET enable_external_access = true',
      "SET allowed_directories = ['/']",
    ])
      await expect(session.connection.run(sql), sql).rejects.toThrow(/disabled|locked|[Pp]ermission|cannot/)
    expect(readdirSync(home)).toEqual(['secret.csv'])
  })
})
