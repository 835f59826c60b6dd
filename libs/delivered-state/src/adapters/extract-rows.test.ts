import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { expect, it } from 'vitest'
import { type Column, Decimal, JsonText } from '@sluice/contracts/values'
import type { ExtractedRow } from '../extract-port.ts'
import { openExtractRows } from './extract-rows.ts'

const { signal } = new AbortController()

async function extractOf(sql: string): Promise<Disposable & { readonly file: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-extract-'))
  const file = join(folder, 'rows.duckdb')
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  await connection.run(`CREATE TABLE rows AS ${sql}`)
  connection.closeSync()
  instance.closeSync()
  return { file, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) }
}

const text = (name: string): Column => ({ name, type: { kind: 'text' } })

async function read(file: string, columns: readonly Column[], primaryKey: readonly string[]) {
  await using extract = await openExtractRows({ file, columns, primaryKey, memoryLimit: '64MB', signal })
  const rows: ExtractedRow[] = []
  for await (const page of extract.rows()) rows.push(...page)
  const keys: string[] = []
  for await (const page of extract.keys()) keys.push(...page)
  const { rowsRead, rowsInvalid, invalidSamples } = extract
  return { rows, keys, rowsRead, rowsInvalid, invalidSamples }
}

it('has rows in the order of the bytes of their keys, and sets invalid ones apart', async () => {
  using extract = await extractOf(
    `FROM (VALUES ('b', '1'), ('é', '2'), ('Z', '3'), (NULL, '4'), ('b', '5'), ('😀', '6'), (chr(65533), '7')) v(id, v)`,
  )
  const found = await read(extract.file, [text('id'), text('v')], ['id'])
  expect(found.rows).toEqual([
    { key: 'Z', row: { id: 'Z', v: '3' } },
    { key: 'b', row: null },
    { key: 'b', row: null },
    { key: 'é', row: { id: 'é', v: '2' } },
    { key: '\uFFFD', row: { id: '\uFFFD', v: '7' } },
    { key: '😀', row: { id: '😀', v: '6' } },
  ])
  expect(found.keys).toEqual(['Z', 'b', 'é', '\uFFFD', '😀'])
  expect(found).toMatchObject({ rowsRead: 7, rowsInvalid: 3 })
  expect(found.invalidSamples).toEqual([
    { key: 'b', reason: '2 rows have this primary key' },
    { key: null, reason: 'primary key id is null' },
  ])
})

it('reads values exactly, and the keys of several columns as a JSON list', async () => {
  using extract = await extractOf(
    `SELECT 9007199254740993::BIGINT AS id, 'x' AS part, 1.50::DECIMAL(9,2) AS price, '{"a": 1.0}'::JSON AS doc,
      'ab'::BLOB AS raw, TIMESTAMP '2024-02-29 12:00:00' AS at, [1, NULL]::INTEGER[] AS list, NULL::DATE AS none`,
  )
  const columns: readonly Column[] = [
    { name: 'id', type: { kind: 'long' } },
    text('part'),
    { name: 'price', type: { kind: 'decimal', precision: 9, scale: 2 } },
    { name: 'doc', type: { kind: 'json' } },
    { name: 'raw', type: { kind: 'bytes' } },
    { name: 'at', type: { kind: 'timestamp', zone: false } },
    { name: 'list', type: { kind: 'list', of: { kind: 'integer' } } },
    { name: 'none', type: { kind: 'date' } },
  ]
  const { rows } = await read(extract.file, columns, ['id', 'part'])
  expect(rows).toEqual([
    {
      key: '["9007199254740993","x"]',
      row: {
        ...{ id: 9007199254740993n, part: 'x', price: new Decimal('1.50'), doc: new JsonText('{"a": 1.0}') },
        ...{ raw: new Uint8Array(Buffer.from('ab')), at: '2024-02-29T12:00:00', list: [1, null], none: null },
      },
    },
  ])
})

it('sorts more rows than DuckDB could sort at once within its memory', async () => {
  const rows = 1_500_000
  const twice = 1_000
  // All over the extract, so that neighbours by key are far apart.
  const id = `(range * 7919 % ${rows}) % ${rows - twice}`
  using extract = await extractOf(`SELECT ${id} AS id, repeat('n', 200) AS note FROM range(${rows})`)
  const columns: readonly Column[] = [{ name: 'id', type: { kind: 'long' } }, text('note')]
  const options = { file: extract.file, columns, primaryKey: ['id'], memoryLimit: '64MB', signal }
  await using opened = await openExtractRows(options)
  expect(opened).toMatchObject({ rowsRead: rows, rowsInvalid: 2 * twice })
  expect(opened.invalidSamples[0]).toEqual({ key: '0', reason: '2 rows have this primary key' })
  let keys = 0
  let last = ''
  for await (const page of opened.keys())
    for (const key of page) {
      if (key <= last) throw new Error(`${key} comes behind ${last}`)
      last = key
      keys += 1
    }
  expect(keys).toBe(rows - twice)
})
