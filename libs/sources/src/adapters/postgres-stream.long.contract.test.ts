/** Large transactions, and random histories of a followed table. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { StreamPosition } from '@sluice/contracts/records'
import type { Row } from '@sluice/contracts/values'
import { type Random, randomFrom } from '@sluice/testkit/random'
import { comparedRows, FollowedTables, type FollowedTest } from '../../test/followed-tables.ts'
import { BOUNDS, readerOf, sliceOf } from '../../test/stream-contract.ts'
import type { StreamReader } from '../stream-port.ts'

const url = inject('postgresUrl')
const address = new URL(url ?? 'postgres://nobody@127.0.0.1:1/none')
const HISTORIES = Number(process.env['SLUICE_TEST_HISTORIES'] ?? 6)
const FIRST_SEED = Number(process.env['SLUICE_TEST_SEED'] ?? 1)

describe.skipIf(url === null)('a followed table', { timeout: 600_000 }, () => {
  const tables = new FollowedTables(address)
  const { admin } = tables
  let folder = ''
  let files = 0
  const file = () => join(folder, `extract-${(files += 1)}`)
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-follow-'))
    await tables.connect()
  })
  afterAll(async () => {
    await tables[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  it('gives each row of a transaction of 100,000 once, over slices, lost connections and readers', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY, text text)')
    await using source = test.open()
    let reader = await readerOf(source, test.model, null)
    let { position } = await comparedRows(reader, file())
    await admin.query(
      `INSERT INTO ${test.table} SELECT g, repeat(md5(g::text), 4) FROM generate_series(1, 100000) AS g`,
    )
    let next = 1
    let order = ''
    for (let slices = 1; next <= 100_000; slices += 1) {
      if (slices % 7 === 0) await tables.endReaders(test.slot)
      const slice = await sliceOf(reader, { rows: 3_000 })
      for (const entry of slice.entries) {
        if (entry.key !== String(next)) expect(entry.key).toBe(String(next))
        if (entry.order <= order) expect(entry.order).toBe(`above ${order}`)
        next += 1
        ;({ order } = entry)
      }
      ;({ position } = slice)
      if (slices % 2 === 0) reader.acknowledged(position)
      if (slices % 5 === 0) {
        await reader[Symbol.asyncDispose]()
        reader = await readerOf(source, test.model, position)
      }
    }
    expect(next).toBe(100_001)
    await reader[Symbol.asyncDispose]()
  })

  it('holds little of a transaction of 200 rows of 1 MB, however slowly they are taken', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY, text text)')
    await using source = test.open()
    await using reader = await readerOf(source, test.model, null)
    await comparedRows(reader, file())
    const text = `repeat(md5(g::text), 31250)`
    await admin.query(`INSERT INTO ${test.table} SELECT g, ${text} FROM generate_series(1, 200) AS g`)
    // What waits to be collected is not held.
    setFlagsFromString('--expose-gc')
    const collect: unknown = runInNewContext('gc')
    const used = () => {
      if (typeof collect !== 'function') throw new Error('Node collects no garbage')
      Reflect.apply(collect, undefined, [])
      const { heapUsed, external } = process.memoryUsage()
      return heapUsed + external
    }
    const before = used()
    let most = 0
    let rows = 0
    while (rows < 200) {
      const { entries } = await sliceOf(reader, { rows: 1 })
      for (const { row } of entries) {
        expect(row?.['text']).toHaveLength(1_000_000)
        rows += 1
      }
      if (rows % 5 === 0) most = Math.max(most, used() - before)
    }
    expect(most).toBeLessThan(20_000_000)
  })

  it.each(Array.from({ length: HISTORIES }, (_, index) => FIRST_SEED + index))(
    'tells all that happens to its rows, in random history %i',
    async seed => {
      await using test = await tables.make(
        `CREATE TABLE FOLLOWED (id int PRIMARY KEY, name text, note text, n int[]); ALTER TABLE FOLLOWED ALTER note SET STORAGE EXTERNAL`,
      )
      await playHistory(test, randomFrom(seed))
    },
  )

  async function playHistory(test: FollowedTest, random: Random): Promise<void> {
    const writer = new pg.Client({ connectionString: address.href })
    await writer.connect()
    await using source = test.open()
    const known = new Map<string, Known>()
    let reader = await readerOf(source, test.model, null)
    /** Positions that a successor may begin at, and what was known there. */
    let told: { readonly position: StreamPosition; readonly known: ReadonlyMap<string, Known> }[] = []
    const compare = async () => {
      const compared = await comparedRows(reader, file())
      known.clear()
      for (const row of compared.rows) known.set(JSON.stringify(row?.['id']), { row, order: '' })
      told = [{ position: compared.position, known: new Map(known) }]
    }
    const take = async (from: StreamReader) => {
      const slice = await from.next({ ...BOUNDS, rows: 1 + random.below(40) })
      if (slice.kind === 'break') {
        // A key changed, and the log leaves out what has not changed.
        expect(slice).toMatchObject({ why: 'lost', detail: expect.stringContaining('(note)') })
        return await compare()
      }
      for (const { key, row, lacks, order } of slice.entries) {
        const before = known.get(key)
        expect(order > (before?.order ?? '')).toBe(true)
        const whole =
          row === null
            ? null
            : { ...row, ...Object.fromEntries(lacks.map(name => [name, before?.row?.[name] ?? null])) }
        known.set(key, { row: whole, order })
      }
      told.push({ position: slice.position, known: new Map(known) })
    }
    /** A row that only this writes comes last. */
    const untilMarked = async (mark: string) => {
      await writer.query(
        `INSERT INTO ${test.table} VALUES (0, $1) ON CONFLICT (id) DO UPDATE SET name = $1`,
        [mark],
      )
      while (known.get('0')?.row?.['name'] !== mark) await take(reader)
    }
    try {
      const [comparing] = [compare(), await write(writer, test.table, random, 10)]
      await comparing
      for (let step = 0; step < 30; step += 1) {
        const writing = write(writer, test.table, random, 1 + random.below(5))
        if (random.chance(0.1)) await tables.endReaders(test.slot)
        if (random.chance(0.15)) await compare()
        await writing
        await untilMarked(`mark ${step}`)
        if (random.chance(0.3)) {
          await reader[Symbol.asyncDispose]()
          const from = random.pick(told)
          known.clear()
          for (const [key, value] of from.known) known.set(key, value)
          told = [from]
          reader = await readerOf(source, test.model, from.position)
        } else if (random.chance(0.3)) {
          told = told.slice(-1)
          for (const { position } of told) reader.acknowledged(position)
        }
      }
      await untilMarked('end')
      const { rows } = await admin.query<{ id: number; name: string; note: string; n: number[] }>(
        `SELECT id, name, note, n FROM ${test.table} ORDER BY id`,
      )
      const seen = [...known.values()].map(({ row }) => row).filter(row => row !== null)
      const short = (row: Row): Row => ({
        ...row,
        note: JSON.stringify(row['note']).replace(/"(n\d+)\1+"/, '$1 many times'),
      })
      expect(seen.map(short).sort((a, b) => Number(a['id']) - Number(b['id']))).toEqual(rows.map(short))
    } finally {
      await reader[Symbol.asyncDispose]()
      await writer.end()
    }
  }
})

interface Known {
  readonly row: Row | null
  readonly order: string
}

/** Commits random transactions, and rolls some back. */
async function write(client: pg.Client, table: string, random: Random, transactions: number): Promise<void> {
  for (let left = transactions; left > 0; left -= 1) {
    await client.query('BEGIN')
    for (let more = 1 + random.below(20); more > 0; more -= 1) {
      const id = 1 + random.below(40)
      const name = `n${random.below(1000)}`
      const note = random.chance(0.5) ? name.repeat(2_000) : name
      const sql = random.pick([
        `INSERT INTO ${table} VALUES (${id}, '${name}', '${note}', '{${id},NULL}') ON CONFLICT (id) DO UPDATE SET name = '${name}'`,
        `UPDATE ${table} SET name = '${name}' WHERE id = ${id}`,
        `UPDATE ${table} SET note = '${note}' WHERE id = ${id}`,
        `UPDATE ${table} SET name = NULL, n = n || ${id} WHERE id BETWEEN ${id} AND ${id + 5}`,
        `DELETE FROM ${table} WHERE id = ${id}`,
        `UPDATE ${table} SET id = ${id} WHERE id = (SELECT max(id) FROM ${table}) AND NOT EXISTS (SELECT 1 FROM ${table} WHERE id = ${id})`,
        `SAVEPOINT s; DELETE FROM ${table} WHERE id > 20; ROLLBACK TO s`,
      ])
      await client.query(sql)
    }
    await client.query(random.chance(0.2) ? 'ROLLBACK' : 'COMMIT')
  }
}
