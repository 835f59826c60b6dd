import { describe, expect, it } from 'vitest'
import type { ModelSpec } from '@sluice/contracts/resources'
import { BOOLEAN, type Carrier, INTEGER, JSON_VALUE, LONG, TEXT } from './carried-values.ts'
import { EntryDecoder } from './decode-entries.ts'
import type { Entry } from './entry.ts'
import { type RowEntry, SliceRows } from './slice-rows.ts'

const model = (sql?: string): ModelSpec => ({
  ...{ kind: 'model', name: 'people', source: 'cdc', topic: 'people' },
  ...(sql === undefined ? {} : { sql }),
})

function rowEntry(entry: Entry): RowEntry {
  if (entry.kind === 'row' || entry.kind === 'removed') return entry
  throw new Error(`the record is ${entry.kind}`)
}

describe('rows of a slice', () => {
  it.each<readonly [string, Carrier, readonly unknown[]]>([
    ['texts', TEXT, ['', 'Ann', '\ufeffx', 'a\u0000b', '😀', '\ud800', '"\\', '\u007f\u2028']],
    ['whole numbers', LONG, [0, 1, -7, 999_999_999, 2 ** 31, 2 ** 53 - 1, -(2 ** 40)]],
    ['numbers of 32 bits', INTEGER, [0, 1, -7, 999_999_999, 2 ** 31 - 1]],
    ['true and false', BOOLEAN, [true, false]],
    ['JSON', JSON_VALUE, [[1, 2], {}, { a: { b: 1.5 } }, 1.5, 5]],
  ])('are the same with DuckDB and without: %s', async (_, carrier, values) => {
    const columns = [
      { name: 'id', carrier: LONG },
      { name: 'key', carrier: TEXT },
      { name: 'value', carrier },
    ]
    const open = async (primaryKey: readonly string[], sql?: string) =>
      await SliceRows.open({ model: model(sql), topic: 'people', columns, primaryKey })
    const decoder = new EntryDecoder({ format: 'rows', schemas: null, primaryKey: ['id', 'key'] })
    const fields = [
      { field: 'id', type: 'int64' },
      { field: 'key', type: 'string' },
      { field: 'value', type: 'int32' },
    ]
    const framed = (payload: object) =>
      carrier === INTEGER ? { schema: { type: 'struct', fields }, payload } : payload
    const recordOf = (key: object, value: object | null, offset: number) => ({
      ...{ offset, timestamp: 1, key: Buffer.from(JSON.stringify(key)) },
      value: value === null ? null : Buffer.from(JSON.stringify(framed(value))),
    })
    const entries = values.flatMap((value, id) => {
      const key = { id, key: typeof value === 'string' ? value : 'a "b"\n\u0001' }
      const records = [recordOf(key, { ...key, value }, 2 * id), recordOf(key, null, 2 * id + 1)]
      return records.map(record => rowEntry(decoder.decode(record, 0)))
    })
    await using plain = await open(['id', 'key'])
    await using byDuckdb = await open(['id', 'key'], 'select * from changes')
    for (const entry of entries) {
      const made = await Promise.all(
        [plain, byDuckdb].map(async rows => {
          const placed = rows.place(entry)
          return placed === null ? null : await rows.rowsOf([placed])
        }),
      )
      expect(made[0]).toEqual(made[1])
      expect(made[0]?.[0]).toMatchObject({
        kind: 'row',
        row: entry.kind === 'row' ? expect.anything() : null,
      })
    }
  })
})
