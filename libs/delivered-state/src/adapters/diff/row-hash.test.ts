/** Hashes in a state file that another version of Sluice, or a run with other compared columns, has made. */
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import type { ColumnType } from '@sluice/contracts/values'
import { duckdbHarness } from '../../../test/duckdb-harness.ts'
import { brief, ONE, Played } from '../../../test/played.ts'
import { RowHash } from './row-hash.ts'

const harness = duckdbHarness()

/** Makes the file look as if another version of Sluice, which hashes another text, had written it. */
async function hashedElsewhere(): Promise<void> {
  const instance = await DuckDBInstance.create(harness.pathOf('state'))
  const connection = await instance.connect()
  await connection.run(`
    UPDATE stored SET hash = hash // 2 + 1;
    UPDATE meta SET value = replace(value, '\\"forms\\":', '\\"forms\\":1') WHERE name = 'hash'`)
  connection.closeSync()
  instance.closeSync()
}

describe('the hash of a row', { timeout: 60_000 }, () => {
  it('is made again if another version of Sluice made it', async () => {
    {
      const played = await Played.open(harness)
      await played.run(ONE)
      expect((await played.diff(ONE)).changes).toEqual([])
      await played.state[Symbol.asyncDispose]()
    }
    await hashedElsewhere()
    const played = await Played.open(harness)
    expect((await played.diff(ONE)).changes).toEqual([])
    expect(brief((await played.diff(ONE.replace('10', '11'))).changes)).toEqual([['changed', '1', 10, 11]])
    await played.state[Symbol.asyncDispose]()
  })

  it('needs little SQL for a column of any type, since DuckDB keeps values for each step of it', () => {
    const plain: readonly ColumnType[] = [
      ...(['text', 'integer', 'long', 'float', 'double', 'json'] as const).map(kind => ({ kind })),
      { kind: 'decimal', precision: 38, scale: 10 },
      { kind: 'timestamp', zone: true },
    ]
    const lists = plain.map((of): ColumnType => ({ kind: 'list', of }))
    const fields = plain.slice(3, 5).map((type, index) => ({ name: `f${index}`, type }))
    for (const type of [...plain, ...lists, { kind: 'struct', fields } as const]) {
      const column = { name: 'c', type }
      expect(new RowHash([column]).ofParsed([column], 'parsed').length, JSON.stringify(type)).toBeLessThan(
        6_000,
      )
    }
  })

  it('of a muted row differs from the hash of a row that is compared by other columns', async () => {
    const played = await Played.open(harness)
    const sql = "SELECT '1' AS id, 1 AS v, 0 AS u"
    await played.run(sql, 'rejected', { compare: ['v'] })
    const discarded = await played.run(sql, 'rejected', {
      compare: ['v'],
      purpose: { kind: 'discard', key: null, status: null },
    })
    expect(discarded.changes).toMatchObject([{ op: 'settled', settledState: 'absent' }])
    expect((await played.diff(sql, { compare: ['v'] })).changes).toEqual([])
    const found = await played.diff(sql, { compare: ['u', 'v'] })
    expect(found.changes).toMatchObject([{ op: 'added' }])
    await played.state[Symbol.asyncDispose]()
  })
})
