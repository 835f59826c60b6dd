import { changeSchema } from '@sluice/contracts/avro/schemas'
import type { Change } from '@sluice/contracts/records'
import { type Column, Decimal, type Value } from '@sluice/contracts/values'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { sampleChange } from '@sluice/testkit/sample-records'
import { describe, expect, it } from 'vitest'
import { RecordIo } from './record-io.ts'

const { signal } = new AbortController()

async function throughTopic(columns: readonly Column[], fields: Partial<Change>): Promise<Change> {
  await using codec = createSqliteCodec({ file: ':memory:' })
  const io = await RecordIo.open(codec, 'sluice', { signal })
  const encoder = await io.changeEncoder(
    { sync: 's', incarnation: 'i', schema: changeSchema(columns) },
    { signal },
  )
  const [decoded] = await io.decode([encoder.encode(sampleChange(fields))], { signal })
  if (decoded?.name !== 'sluice.Change') throw new Error('no change came back')
  return decoded.value
}

describe('values that do not fit their column', () => {
  it.each([
    ['n/a', { kind: 'long' }],
    ['', { kind: 'double' }],
    [5, { kind: 'text' }],
    [1.5, { kind: 'integer' }],
    [5_000_000_000, { kind: 'integer' }],
    [true, { kind: 'text' }],
    ['2024-02-31', { kind: 'date' }],
    ['noon', { kind: 'timestamp', zone: true }],
    ['a "quoted" ✓ \u{feff} text', { kind: 'decimal', precision: 9, scale: 2 }],
    [['x'], { kind: 'list', of: { kind: 'integer' } }],
    [{ a: 'x' }, { kind: 'struct', fields: [{ name: 'a', type: { kind: 'long' } }] }],
  ] satisfies [Value, Column['type']][])(
    'travel beside the row: %j in a column of %j',
    async (value, type) => {
      const columns: readonly Column[] = [
        { name: '__proto__', type },
        { name: 'other', type: { kind: 'long' } },
      ]
      const before = Object.fromEntries([
        ['__proto__', value],
        ['other', 9_007_199_254_740_993n],
      ])
      const after = Object.fromEntries([
        ['__proto__', null],
        ['other', 2],
      ])
      const changed = await throughTopic(columns, { before, after })
      expect(changed.before).toEqual(before)
      expect(changed.after).toEqual(after)
      // So do those of a settled row, which is the row as it was.
      const settled = await throughTopic(columns, { op: 'settled', before, after: before })
      expect(settled.before).toEqual(before)
      expect(settled.after).toEqual(before)
    },
  )

  it('leave rows alone that fit', async () => {
    const columns: readonly Column[] = [{ name: 'v', type: { kind: 'decimal', precision: 9, scale: 2 } }]
    const row = { v: new Decimal('1.50') }
    expect(await throughTopic(columns, { before: row, after: null })).toMatchObject({
      before: row,
      after: null,
    })
  })

  it('are no excuse for a record that is wrong otherwise', async () => {
    const columns: readonly Column[] = [{ name: 'v', type: { kind: 'long' } }]
    const wrong = throughTopic(columns, { before: { v: 1 }, seq: Number.NaN })
    await expect(wrong).rejects.toMatchObject({ code: 'corrupt' })
  })
})
