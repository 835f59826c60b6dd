import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SILENT_LOGGER } from '@sluice/runtime/silent-logger'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { samplesOf } from './compose.ts'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-samples-'))
  await writeFile(join(dir, 'people.csv'), 'id,name\n1,Ada\n')
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

describe('rows for a model that has no name yet', () => {
  const read = async (query: { readonly sql?: string; readonly table?: string }): Promise<unknown> => {
    const nothing = { newRunId: () => '', mask: () => undefined, tell: () => undefined }
    const samples = samplesOf({ dir, env: {}, logger: SILENT_LOGGER, ...nothing }, dir)
    const source = { kind: 'source', name: 'files', type: 'duckdb', path: dir } as const
    const { signal } = new AbortController()
    const { rows } = await samples.readRows(source, { from: query, limit: 5 }, { vault: null, signal })
    return rows
  }

  it('are those of its query', async () => {
    expect(await read({ sql: "select * from 'people.csv'" })).toEqual([{ id: 1, name: 'Ada' }])
  })

  it.each([
    [{ sql: "select nmae from 'people.csv'" }, /^The query of the model fails .*nmae/],
    [
      { sql: "select * from 'peple.csv'" },
      /^The model reads the file .*peple.csv, which does not exist. Did you mean people.csv?/,
    ],
    [{ sql: 'drop table people' }, /^The SQL of the model has to be one query that only reads/],
    [{}, /^Say which rows to read: `sql`, `table` or `topic`./],
    [{ table: 'a.b.c.d' }, /^The table "a.b.c.d" of the model is not a name like schema.name/],
  ])('are refused for %j without a name that nobody gave', async (query, message) => {
    await expect(read(query)).rejects.toThrow(message)
  })
})
