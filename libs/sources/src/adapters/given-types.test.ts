import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { GivenSources } from './given.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-given-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

it('runs no SQL that stands in place of a type', async () => {
  const written = join(folder, 'written.csv')
  const model: ModelSpec = { kind: 'model', name: 'm', source: 's', table: 't', primaryKey: 'id' }
  await using sources = new GivenSources(folder)
  const types = { id: `INTEGER); COPY (SELECT 1) TO '${written}'; CREATE TABLE more (id INTEGER` }
  const source = sources.open({ rows: [], types })
  const { signal } = new AbortController()
  const error: unknown = await source
    .extract(model, { file: join(folder, 'extract'), signal })
    .catch((thrown: unknown) => thrown)
  expect(existsSync(written)).toBe(false)
  expect(error).toBeInstanceOf(SluiceError)
})

describe('a type that is more than a type', () => {
  it.each([
    ") AS SELECT content FROM read_text('{folder}/secret.txt') -- ",
    ") AS FROM '{folder}/secret.txt' -- ",
    ") AS (SELECT content FROM read_text('{folder}/secret.txt')) -- ",
    "VARCHAR DEFAULT (SELECT content FROM read_text('{folder}/secret.txt'))",
    "VARCHAR GENERATED ALWAYS AS (SELECT content FROM read_text('{folder}/secret.txt'))",
    "VARCHAR, more VARCHAR DEFAULT getvariable('x')",
    "VARCHAR) || (SELECT content FROM read_text('{folder}/secret.txt')",
    'VARCHAR -- ',
    'VARCHAR /* ',
  ])('reads no file: %s', async attack => {
    writeFileSync(join(folder, 'secret.txt'), 'hush-hush')
    await using sources = new GivenSources(folder)
    const types = { id: attack.replaceAll('{folder}', folder) }
    const source = sources.open({ rows: [{ id: 'x' }], types })
    const file = join(folder, 'extract')
    const model: ModelSpec = { kind: 'model', name: 'm', source: 's', table: 't', primaryKey: 'id' }
    const { signal } = new AbortController()
    const error: unknown = await source.extract(model, { file, signal }).catch((thrown: unknown) => thrown)
    const found = error instanceof Error ? [] : await rowsOf(file)
    expect(found).toEqual([])
    expect(error).toBeInstanceOf(SluiceError)
    expect(String(error)).toContain('column `id`')
  })

  it.each(['DECIMAL(10, 2)', 'TIMESTAMP WITH TIME ZONE', 'VARCHAR', 'BLOB', 'BIGINT'])(
    'is not refused as one: %s',
    async type => {
      await using sources = new GivenSources(folder)
      const source = sources.open({ rows: [], types: { id: type } })
      const model: ModelSpec = { kind: 'model', name: 'm', source: 's', table: 't', primaryKey: 'id' }
      const { signal } = new AbortController()
      const { columns } = await source.extract(model, { file: join(folder, 'extract'), signal })
      expect(columns).toHaveLength(1)
    },
  )
})

async function rowsOf(file: string): Promise<readonly unknown[]> {
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  const reader = await connection.runAndReadAll('FROM rows')
  connection.closeSync()
  instance.closeSync()
  return reader.getRowsJson()
}
