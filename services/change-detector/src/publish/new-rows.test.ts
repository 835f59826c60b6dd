/**
 * A row that comes by column becomes the same change, to the byte, as the row that a diff gives as an object:
 * from DuckDB's vectors to Avro, for values of every type and every character.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { changeSchema } from '@sluice/contracts/avro/schemas'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import { TYPE_VALUES } from '@sluice/delivered-state/test/type-values'
import type { DeliveredState, DiffRequest } from '@sluice/delivered-state/port'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import type { SchemaCodec } from '@sluice/schema-codec/port'
import { extractHere } from '@sluice/sources/test/extract-here'

const TIMEOUT = { timeout: 120_000 }
const { signal } = new AbortController()
/** The fields that the changes of a run have in common, all but their place in it. */
const PLACE = { incarnation: 'i', owner: 7, run: 300, replayed: null }
const FRAME = {
  ...{ ...PLACE, op: 'added', before: null, beforeState: 'absent', settledState: null, muted: null },
  ...{ captured: null, retried: null },
}

/** Types, and values of them, of which a row comes as a change. */
const AS_CHANGES =
  /beyond|UBIGINT|HUGEINT|FLOAT|not finite|DECIMAL of (38|20) digits|BLOB|TIMESTAMP$|TIMESTAMPTZ|LIST|ARRAY|STRUCT/

let folder = ''
let codec: SchemaCodec
let state: DeliveredState
let extracts = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-new-rows-'))
  codec = createSqliteCodec({ file: join(folder, 'codec.db') })
  const file = join(folder, 'state.duckdb')
  state = await openDeliveredState({ file, sync: 's', incarnation: 'i', partitions: 1 })
})
afterAll(async () => {
  await state[Symbol.asyncDispose]()
  await codec[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})
async function requestFor(sql: string): Promise<DiffRequest> {
  const model = { kind: 'model', name: 'm', source: 's', sql, primaryKey: 'id' } as const
  const { file, columns } = await extractHere(model, { folder, file: join(folder, `${extracts++}.duckdb`) })
  const opsWithTrigger = new Set(['added'] as const)
  const compare = columns.map(({ name }) => name)
  return { extractFile: file, columns, primaryKey: ['id'], compare, opsWithTrigger, baseline: false, signal }
}

/** The changes of all rows as objects and as they come, both encoded, and how many came by column. */
async function bothWays(sql: string): Promise<{ objects: string[]; columns: string[]; byColumn: number }> {
  const request = await requestFor(sql)
  const objects: string[] = []
  const diff = await state.diff(request)
  const encoder = await codec.encoder(`s${extracts}`, changeSchema(diff.columns), { signal })
  const encode = (change: object): string =>
    Buffer.from(encoder.encode({ ...change, ...PLACE, seq: objects.length })).toString('hex')
  for await (const { changes } of diff.changes())
    for (const change of changes) objects.push(`${change.key} ${encode(change)}`)
  const columns: string[] = []
  let byColumn = 0
  for await (const batch of (await state.diff(request)).changesByColumn()) {
    if ('changes' in batch) {
      // They come as `changes` gives them, which is told here.
      columns.push(...objects.slice(columns.length, columns.length + batch.changes.length))
      continue
    }
    const { newRows } = batch
    const frame = encoder.frame(FRAME)
    const rows = encoder.rows(newRows)
    byColumn += newRows.rows
    for (let row = 0; row < newRows.rows; row += 1) {
      const into = Buffer.alloc(rows.maxBytes(frame, row))
      const end = rows.write(into, 0, { frame, row, seq: columns.length })
      const { bytes, starts, lengths } = newRows.keys
      const start = starts[row] ?? 0
      const key = Buffer.from(bytes).toString('utf8', start, start + (lengths[row] ?? 0))
      columns.push(`${key} ${into.toString('hex', 0, end)}`)
    }
  }
  return { objects, columns, byColumn }
}

describe('a row that is new to the state', () => {
  it('is the same by column, with values of every type that comes so', TIMEOUT, async () => {
    const held = TYPE_VALUES.filter(([name]) => !AS_CHANGES.test(name))
    const joined = held.map(([, expression, values], index) => {
      const rows = values.map(([sql], id) => `(${id}, ${sql})`)
      return `JOIN (SELECT id AS id${index}, ${expression} AS v${index} FROM (VALUES ${rows.join(', ')}) AS t(id, x)) ON id${index} = range % ${values.length}`
    })
    const columns = held.map((_, index) => `v${index}`)
    const all = await bothWays(
      `SELECT range::INTEGER AS id, ${columns.join(', ')} FROM range(11) ${joined.join(' ')} ORDER BY id`,
    )
    expect(all.columns).toEqual(all.objects)
    expect([held.length, all.byColumn]).toEqual([24, 11])
  })

  it(
    'comes by column with all types that numbers and texts hold, and else as a change',
    TIMEOUT,
    async () => {
      const columns = `range::INTEGER AS id, range % 2 = 0 AS b, range * 10000000000 AS l, range / 7 AS d, (range / 7)::FLOAT AS f,
      (range / 100)::DECIMAL(15, 2) AS m, DATE '1969-12-01' + range::INTEGER AS day, TIME '00:00:00' + INTERVAL (range) SECOND AS t,
      TIMESTAMP '1969-12-31' + INTERVAL (range) HOUR AS s, CAST(TIMESTAMP '1969-12-31' + INTERVAL (range) HOUR AS TIMESTAMPTZ) AS z,
      uuid() AS u, '{"a": 1}'::JSON AS j, INTERVAL (range) DAY AS i, CASE WHEN range % 3 > 0 THEN 'x' || range END AS v`
      const all = await bothWays(`SELECT ${columns} FROM range(20000)`)
      expect(all.columns).toEqual(all.objects)
      expect(all.byColumn).toBe(20_000)
      // One value that DOUBLE does not hold.
      const far = await bothWays(
        `SELECT range::INTEGER AS id, if(range = 9, 9007199254740993, range) AS v FROM range(20)`,
      )
      expect(far.columns).toEqual(far.objects)
      expect(far.byColumn).toBe(0)
    },
  )

  it('has its characters by column, of any number of bytes and wherever they stand', TIMEOUT, async () => {
    let seen = 0
    for (const [from, to] of [
      [0, 0x1000],
      [0xd700, 0xe100],
      [0xfe00, 0x1_0200],
      [0x10_fe00, 0x11_0000],
    ] as const) {
      const all = await bothWays(
        `SELECT c AS id, c || 'x' AS ahead, 'x' || c AS behind, c || repeat('y', 60) AS much FROM (SELECT chr(range::INTEGER) AS c
          FROM range(${from}, ${to}) WHERE range NOT BETWEEN ${0xd800} AND ${0xdfff})`,
      )
      expect(all.columns).toEqual(all.objects)
      expect(all.byColumn).toBe(all.objects.length)
      seen += all.byColumn
    }
    expect(seen).toBe(0x1000 + 0xa00 - 0x800 + 0x400 + 0x200)
  })

  it('is the same by column with texts of any length, as null, and empty', TIMEOUT, async () => {
    const all = await bothWays(
      `SELECT range::INTEGER AS id, CASE range % 5 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE repeat('é', (range % 97)::INTEGER) END AS v,
        repeat('z', if(range % 50 = 0, 8150 + range % 90, range % 70)::INTEGER) AS w FROM range(9300)`,
    )
    expect(all.columns).toEqual(all.objects)
    expect(all.byColumn).toBeGreaterThan(0)
  })
})
