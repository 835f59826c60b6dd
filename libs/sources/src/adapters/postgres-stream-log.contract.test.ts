/** The log of PostgreSQL while it changes under its reader: what is lost, and what goes on. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { StreamPosition } from '@sluice/contracts/records'
import { comparedRows, FollowedTables, type FollowedTest } from '../../test/followed-tables.ts'
import { BOUNDS, entriesOf, readerOf, sliceOf } from '../../test/stream-contract.ts'
import type { StreamEntry } from '../stream-port.ts'

const url = inject('postgresUrl')
const { signal } = new AbortController()

describe.skipIf(url === null)('the log of PostgreSQL', { timeout: 60_000 }, () => {
  const tables = new FollowedTables(new URL(url ?? 'postgres://nobody@127.0.0.1:1/none'))
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

  /** Compares, and closes the reader. */
  async function begun({ open, model }: FollowedTest): Promise<StreamPosition> {
    await using source = open()
    await using reader = await readerOf(source, model, null)
    return (await comparedRows(reader, file())).position
  }
  async function openedAt({ open, model }: FollowedTest, position: StreamPosition) {
    await using source = open()
    const opened = await source.open(model, position, { signal })
    if (opened.kind === 'reader') await opened.reader[Symbol.asyncDispose]()
    return opened.kind === 'break' ? { why: opened.why, detail: opened.detail } : null
  }
  const said = (entries: readonly StreamEntry[]) => entries.map(({ key, row }) => [key, row])
  const flushed = async (slot: string): Promise<string> => {
    const { rows } = await admin.query<{ lsn: string }>(
      `SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = '${slot}'`,
    )
    return rows[0]?.lsn ?? ''
  }

  it.each([
    ['the slot was dropped', 'lost', `SELECT pg_drop_replication_slot('SLOT')`],
    [
      'the slot went on',
      'lost',
      `INSERT INTO FOLLOWED VALUES (5); SELECT pg_replication_slot_advance('SLOT', pg_current_wal_lsn())`,
    ],
    ['the publication was dropped', 'lost', 'DROP PUBLICATION SLOT'],
    [
      'the publication was made anew',
      'lost',
      'DROP PUBLICATION SLOT; CREATE PUBLICATION SLOT FOR TABLE FOLLOWED',
    ],
    [
      'the table left the publication for a while',
      'lost',
      'ALTER PUBLICATION SLOT DROP TABLE FOLLOWED; ALTER PUBLICATION SLOT ADD TABLE FOLLOWED',
    ],
    [
      'the publication left out updates for a while',
      'lost',
      `ALTER PUBLICATION SLOT SET (publish = 'insert'); ALTER PUBLICATION SLOT SET (publish = 'insert, update, delete, truncate')`,
    ],
    [
      'the table was made anew',
      'lost',
      'DROP TABLE FOLLOWED; CREATE TABLE FOLLOWED (id int PRIMARY KEY); ALTER PUBLICATION SLOT ADD TABLE FOLLOWED',
    ],
    ['a column came', 'columns', 'ALTER TABLE FOLLOWED ADD more text'],
    ['a column has another type', 'columns', 'ALTER TABLE FOLLOWED ALTER id TYPE bigint'],
    [
      'a column got new values without a change in the log',
      'columns',
      'ALTER TABLE FOLLOWED ALTER id TYPE int USING id + 1',
    ],
    [
      'nothing happened but the maintenance of its catalogs, and a change of another table',
      null,
      `VACUUM (FREEZE) pg_publication; VACUUM (FREEZE) pg_attribute; VACUUM (FULL, ANALYZE) FOLLOWED;
       CREATE TABLE FOLLOWED_other (id int PRIMARY KEY); ALTER PUBLICATION SLOT ADD TABLE FOLLOWED_other;
       CREATE INDEX ON FOLLOWED (id); DROP TABLE FOLLOWED_other`,
    ],
  ])('does not go on after %s, and does so behind a comparison (%s)', async (_, why, sql) => {
    await using test = await tables.make(
      'CREATE TABLE FOLLOWED (id int PRIMARY KEY); INSERT INTO FOLLOWED VALUES (1)',
    )
    const position = await begun(test)
    // A statement of its own each: a slot cannot go on within a transaction that has written.
    for (const each of sql.split(/;\s+/))
      await admin.query(each.replaceAll('SLOT', test.slot).replaceAll('FOLLOWED', test.table))
    const found = await openedAt(test, position)
    expect(found?.why ?? null).toBe(why)
    const again = await begun(test)
    await admin.query(`INSERT INTO ${test.table} VALUES (9)`)
    await using source = test.open()
    await using reader = await readerOf(source, test.model, again)
    expect((await entriesOf(reader, 1)).entries.map(({ key }) => key)).toEqual(['9'])
  })

  it.each([0, 1])('does not go on at a position of another server or timeline (part %i)', async part => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY)')
    const position = await begun(test)
    const parts = position.history.split('/')
    parts[part] = '77'
    expect(await openedAt(test, { ...position, history: parts.join('/') })).toMatchObject({ why: 'history' })
  })

  it('does not go on at a position beyond the end of the log, as after the restore of an older disk', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY)')
    const position = await begun(test)
    const place = { partition: 0, offset: 'FFFFFFF/0', highest: null }
    expect(await openedAt(test, { ...position, partitions: [place] })).toMatchObject({ why: 'history' })
  })

  it('breaks off while it runs if the publication is dropped, or the table is made anew', async () => {
    for (const sql of [
      'DROP PUBLICATION sluice_FOLLOWED; INSERT INTO FOLLOWED VALUES (5)',
      'DROP TABLE FOLLOWED; CREATE TABLE FOLLOWED (id int PRIMARY KEY); ALTER PUBLICATION sluice_FOLLOWED ADD TABLE FOLLOWED; INSERT INTO FOLLOWED VALUES (5)',
    ]) {
      await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY)')
      await using source = test.open()
      await using reader = await readerOf(source, test.model, null)
      await comparedRows(reader, file())
      await admin.query(sql.replaceAll('FOLLOWED', test.table))
      expect(await reader.next(BOUNDS)).toMatchObject({ kind: 'break', why: 'lost' })
      expect((await comparedRows(reader, file())).rows).toEqual([{ id: 5 }])
      await admin.query(`INSERT INTO ${test.table} VALUES (6)`)
      expect((await entriesOf(reader, 1)).entries.map(({ key }) => key)).toEqual(['6'])
    }
  })

  it('finds that the schema of its table left the publication for a while', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED_unused (id int)')
    const schema = `${test.table}_schema`
    await admin.query(
      `DROP TABLE ${test.table}_unused; CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.people (id int PRIMARY KEY)`,
    )
    const { server_version_num: version } = (
      await admin.query<{ server_version_num: string }>('SHOW server_version_num')
    ).rows[0] ?? { server_version_num: '0' }
    if (Number(version) >= 150_000) {
      await admin.query(`CREATE PUBLICATION ${test.slot} FOR TABLES IN SCHEMA ${schema}`)
      const followed = { ...test, model: { ...test.model, table: `${schema}.people` } }
      const position = await begun(followed)
      expect(await openedAt(followed, position)).toBeNull()
      await admin.query(`ALTER PUBLICATION ${test.slot} DROP TABLES IN SCHEMA ${schema}`)
      await admin.query(`ALTER PUBLICATION ${test.slot} ADD TABLES IN SCHEMA ${schema}`)
      expect(await openedAt(followed, position)).toMatchObject({ why: 'lost' })
    }
    await admin.query(`DROP SCHEMA ${schema} CASCADE`)
  })

  it.each([
    [
      'the publication leaves out updates',
      'lost',
      `ALTER PUBLICATION SLOT SET (publish = 'insert'); UPDATE FOLLOWED SET n = 2;
       ALTER PUBLICATION SLOT SET (publish = 'insert, update, delete, truncate')`,
    ],
    ['the publication loses the table', 'lost', 'ALTER PUBLICATION SLOT DROP TABLE FOLLOWED'],
    [
      'a column gets new values without a change in the log',
      'columns',
      'ALTER TABLE FOLLOWED ALTER n TYPE int USING n + 1',
    ],
  ])('breaks off while nothing comes if %s', async (_, why, sql) => {
    await using test = await tables.make(
      'CREATE TABLE FOLLOWED (id int PRIMARY KEY, n int); INSERT INTO FOLLOWED VALUES (1, 1)',
    )
    await using source = test.open({}, { lookMs: 20 })
    await using reader = await readerOf(source, test.model, null)
    await comparedRows(reader, file())
    const waiting = reader.next(BOUNDS)
    for (const each of sql.split(/;\s+/))
      await admin.query(each.replaceAll('SLOT', test.slot).replaceAll('FOLLOWED', test.table))
    expect(await waiting).toMatchObject({ kind: 'break', why })
    const { rows } = await admin.query<{ id: number; n: number }>(`SELECT id, n FROM ${test.table}`)
    expect((await comparedRows(reader, file())).rows).toEqual(rows)
    await admin.query(`UPDATE ${test.table} SET n = 7`)
    expect(said((await entriesOf(reader, 1)).entries)).toEqual([['1', { id: 1, n: 7 }]])
  })

  it.each([
    ['tells the key no more', 'FOLLOWED USING INDEX FOLLOWED_other_key', 'DELETE FROM FOLLOWED'],
    ['tells fewer values than before', 'FOLLOWED DEFAULT', 'UPDATE FOLLOWED SET n = 2'],
  ])('breaks off at a row whose identity %s', async (_, identity, change) => {
    await using test = await tables.make(
      `CREATE TABLE FOLLOWED (id int PRIMARY KEY, n int, other int NOT NULL UNIQUE, note text);
       ALTER TABLE FOLLOWED ALTER note SET STORAGE EXTERNAL; ALTER TABLE FOLLOWED REPLICA IDENTITY FULL;
       INSERT INTO FOLLOWED VALUES (1, 1, 1, repeat('x', 10000))`,
    )
    const named = (sql: string) => sql.replaceAll('FOLLOWED', test.table)
    await using source = test.open()
    await using reader = await readerOf(source, { ...test.model, sql: 'SELECT id, note FROM changes' }, null)
    await comparedRows(reader, file())
    await admin.query(`UPDATE ${test.table} SET n = 3`)
    expect((await entriesOf(reader, 1)).entries).toMatchObject([{ row: { note: 'x'.repeat(10_000) } }])
    await admin.query(named(`ALTER TABLE FOLLOWED REPLICA IDENTITY ${identity.replace('FOLLOWED ', '')}`))
    await admin.query(named(change))
    expect(await reader.next(BOUNDS)).toMatchObject({ kind: 'break', why: 'columns' })
    await expect(comparedRows(reader, file())).rejects.toMatchObject({ code: 'config' })
    await admin.query(named('ALTER TABLE FOLLOWED REPLICA IDENTITY FULL'))
    await comparedRows(reader, file())
    await admin.query(named('DELETE FROM FOLLOWED'))
    await admin.query(named(`INSERT INTO FOLLOWED VALUES (2, 2, 2, 'y')`))
    const { entries } = await entriesOf(reader, 1)
    expect(entries.at(-1)).toMatchObject({ key: '2', row: { note: 'y' } })
  })

  it('lets nobody go on who has not heard that entries may lack more values than before', async () => {
    await using test = await tables.make(
      `CREATE TABLE FOLLOWED (id int PRIMARY KEY, note text); ALTER TABLE FOLLOWED REPLICA IDENTITY FULL;
       INSERT INTO FOLLOWED VALUES (1, 'x')`,
    )
    await using source = test.open()
    await using reader = await readerOf(source, test.model, null)
    await comparedRows(reader, file())
    await admin.query(`ALTER TABLE ${test.table} REPLICA IDENTITY DEFAULT; UPDATE ${test.table} SET id = 2`)
    expect(await reader.next(BOUNDS)).toMatchObject({ kind: 'break', why: 'columns' })
    await expect(comparedRows(reader, file())).rejects.toMatchObject({ code: 'config', retryable: true })
    await using again = await readerOf(source, test.model, null)
    expect((await comparedRows(again, file())).rows).toEqual([{ id: 2, note: 'x' }])
  })

  it('breaks off at a row of a partition whose identity lacks the key', async () => {
    await using test = await tables.make(
      `CREATE TABLE FOLLOWED (id int PRIMARY KEY, other int NOT NULL) PARTITION BY RANGE (id);
       CREATE TABLE FOLLOWED_low PARTITION OF FOLLOWED FOR VALUES FROM (0) TO (100);
       CREATE UNIQUE INDEX FOLLOWED_by_other ON FOLLOWED_low (other);
       CREATE TABLE FOLLOWED_else (id int PRIMARY KEY); ALTER TABLE FOLLOWED REPLICA IDENTITY FULL;
       INSERT INTO FOLLOWED VALUES (1, 1), (2, 2)`,
    )
    const named = (sql: string) => sql.replaceAll('FOLLOWED', test.table)
    await using source = test.open()
    await using reader = await readerOf(source, test.model, null)
    await comparedRows(reader, file())
    // Another table of the publication has its own identity.
    await admin.query(named('ALTER PUBLICATION sluice_FOLLOWED ADD TABLE FOLLOWED_else'))
    await admin.query(named('ALTER TABLE FOLLOWED_else REPLICA IDENTITY FULL'))
    await admin.query(named('DELETE FROM FOLLOWED WHERE id = 1; INSERT INTO FOLLOWED_else VALUES (1)'))
    expect(said((await entriesOf(reader, 1)).entries)).toEqual([['1', null]])
    await admin.query(named('ALTER TABLE FOLLOWED_low REPLICA IDENTITY USING INDEX FOLLOWED_by_other'))
    await admin.query(named('DELETE FROM FOLLOWED'))
    expect(await reader.next(BOUNDS)).toMatchObject({ kind: 'break', why: 'columns' })
    await expect(comparedRows(reader, file())).rejects.toThrow(/tells other alone/)
    await admin.query(named('DROP TABLE FOLLOWED_else'))
  })

  it.each(['DEFAULT', 'FULL'])(
    'tells rows apart by keys that are stored apart from them (%s)',
    async identity => {
      await using test = await tables.make(
        `CREATE TABLE FOLLOWED (id text PRIMARY KEY, n int, more text); ALTER TABLE FOLLOWED ALTER id SET STORAGE EXTERNAL;
       ALTER TABLE FOLLOWED REPLICA IDENTITY ${identity}; ALTER TABLE FOLLOWED SET (toast_tuple_target = 128)`,
      )
      const [one, other] = ['a'.repeat(2_600), 'b'.repeat(2_600)]
      const { table } = test
      await admin.query(`INSERT INTO ${table} VALUES ('${one}', 1)`)
      await using source = test.open()
      await using reader = await readerOf(source, test.model, null)
      expect((await comparedRows(reader, file())).rows).toEqual([{ id: one, n: 1, more: null }])
      await admin.query(`UPDATE ${table} SET n = 2`)
      await admin.query(
        `UPDATE ${table} SET id = '${other}'; UPDATE ${table} SET n = 3; DELETE FROM ${table}`,
      )
      const { entries } = await entriesOf(reader, 5)
      expect(said(entries)).toEqual([
        [one, { id: one, n: 2, more: null }],
        [one, null],
        [other, { id: other, n: 2, more: null }],
        [other, { id: other, n: 3, more: null }],
        [other, null],
      ])
      expect(entries.flatMap(({ lacks }) => lacks)).toEqual([])
    },
  )

  it('says that the columns changed between two entries, behind the first', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY, name text)')
    const position = await begun(test)
    await admin.query(
      `INSERT INTO ${test.table} VALUES (1, 'a'); ALTER TABLE ${test.table} RENAME name TO title; INSERT INTO ${test.table} VALUES (2, 'b')`,
    )
    // The reader has the columns of now, and the first entry has those of before.
    expect(await openedAt(test, position)).toMatchObject({ why: 'columns' })
    await using source = test.open()
    await using reader = await readerOf(source, test.model, null)
    expect((await comparedRows(reader, file())).rows).toEqual([
      { id: 1, title: 'a' },
      { id: 2, title: 'b' },
    ])
  })

  it('has all values with REPLICA IDENTITY FULL, also those that have not changed', async () => {
    await using test = await tables.make(
      'CREATE TABLE FOLLOWED (id int PRIMARY KEY, name text, note text STORAGE EXTERNAL); ALTER TABLE FOLLOWED REPLICA IDENTITY FULL'.replace(
        ' STORAGE EXTERNAL',
        '',
      ),
    )
    await admin.query(`ALTER TABLE ${test.table} ALTER note SET STORAGE EXTERNAL`)
    await using source = test.open()
    expect((await source.describe(test.model, { signal })).mayLack).toEqual([])
    await using reader = await readerOf(source, test.model, null)
    await comparedRows(reader, file())
    const note = 'x'.repeat(10_000)
    await admin.query(`INSERT INTO ${test.table} VALUES (1, 'a', '${note}')`)
    await admin.query(`UPDATE ${test.table} SET name = 'b'`)
    await admin.query(`UPDATE ${test.table} SET id = 2; DELETE FROM ${test.table}`)
    const { entries } = await entriesOf(reader, 5)
    expect(said(entries)).toEqual([
      ['1', { id: 1, name: 'a', note }],
      ['1', { id: 1, name: 'b', note }],
      ['1', null],
      ['2', { id: 2, name: 'b', note }],
      ['2', null],
    ])
    expect(entries.flatMap(({ lacks }) => lacks)).toEqual([])
  })

  it('gives a partitioned table as one, whichever partition a row is in', async () => {
    await using test = await tables.make(
      `CREATE TABLE FOLLOWED (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
       CREATE TABLE FOLLOWED_low PARTITION OF FOLLOWED FOR VALUES FROM (0) TO (100);
       CREATE TABLE FOLLOWED_high (name text, id int NOT NULL); ALTER TABLE FOLLOWED ATTACH PARTITION FOLLOWED_high FOR VALUES FROM (100) TO (200);
       INSERT INTO FOLLOWED VALUES (1, 'a'), (101, 'b')`,
    )
    await using source = test.open()
    await using reader = await readerOf(source, test.model, null)
    expect((await comparedRows(reader, file())).rowCount).toBe(2)
    await admin.query(
      `UPDATE ${test.table} SET name = 'c' WHERE id = 101; UPDATE ${test.table} SET id = 150 WHERE id = 1`,
    )
    expect(said((await entriesOf(reader, 3)).entries)).toEqual([
      ['101', { id: 101, name: 'c' }],
      ['1', null],
      ['150', { id: 150, name: 'a' }],
    ])
    await admin.query(`TRUNCATE ${test.table}`)
    expect(await reader.next(BOUNDS)).toMatchObject({ kind: 'break', why: 'truncated' })
    await admin.query(`ALTER PUBLICATION ${test.slot} SET (publish_via_partition_root = false)`)
    await expect(source.open(test.model, null, { signal })).rejects.toThrow('names the partitions')
  })

  it('leaves out generated columns, which the log does not tell', async () => {
    await using test = await tables.make(
      'CREATE TABLE FOLLOWED (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, name text)',
    )
    await using source = test.open()
    expect((await source.describe(test.model, { signal })).columns.map(({ name }) => name)).toEqual([
      'id',
      'name',
    ])
    await using reader = await readerOf(source, test.model, null)
    await admin.query(`INSERT INTO ${test.table} VALUES (1, DEFAULT, 'a')`)
    expect((await comparedRows(reader, file())).rows).toEqual([{ id: 1, name: 'a' }])
    await admin.query(`UPDATE ${test.table} SET name = 'b'`)
    expect(said((await entriesOf(reader, 1)).entries)).toEqual([['1', { id: 1, name: 'b' }]])
  })

  it('takes any name of a table or a column', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int)')
    await admin.query(
      `CREATE SCHEMA "${test.table} S"; CREATE TABLE "${test.table} S"."A ""b'.c" ("I'd" int PRIMARY KEY, "__proto__" text)`,
    )
    const model = { ...test.model, table: `"${test.table} S"."A ""b'.c"`, primaryKey: "I'd" }
    await using source = test.open()
    await using reader = await readerOf(source, model, null)
    await comparedRows(reader, file())
    await admin.query(`INSERT INTO "${test.table} S"."A ""b'.c" VALUES (1, 'x')`)
    const [entry] = (await entriesOf(reader, 1)).entries
    expect(Object.entries(entry?.row ?? {})).toEqual([
      ["I'd", 1],
      ['__proto__', 'x'],
    ])
    await admin.query(`DROP SCHEMA "${test.table} S" CASCADE`)
  })

  it('lets the server forget what is acknowledged, and nothing beyond', async () => {
    await using test = await tables.make(
      'CREATE TABLE FOLLOWED (id int PRIMARY KEY); CREATE TABLE FOLLOWED_other (text text)',
    )
    const position = await begun(test)
    const { table, slot, model, open } = test
    await using source = open()
    await using reader = await readerOf(source, model, position)
    await admin.query(`INSERT INTO ${table} VALUES (1); INSERT INTO ${table} VALUES (2)`)
    const first = await sliceOf(reader, { rows: 1 })
    await entriesOf(reader, 1)
    reader.acknowledged(first.position)
    await reader[Symbol.asyncDispose]()
    const acknowledged = first.position.partitions[0]?.offset ?? ''
    const compared = await admin.query(
      `SELECT '${await flushed(slot)}'::pg_lsn <= '${acknowledged}'::pg_lsn AS isWithin`,
    )
    expect(compared.rows).toEqual([{ iswithin: true }])
    await using later = await readerOf(source, model, first.position)
    expect((await entriesOf(later, 1)).entries.map(({ key }) => key)).toEqual(['2'])
    // Megabytes of another table move the position of a reader that has no entries.
    const idle = later.next(BOUNDS)
    await admin.query(
      `INSERT INTO ${table}_other SELECT repeat(md5(g::text), 30) FROM generate_series(1, 5000) AS g`,
    )
    const slice = await idle
    if (slice.kind === 'break') throw new Error(slice.detail)
    expect(slice.entries).toEqual([])
    const before = await flushed(slot)
    later.acknowledged(slice.position)
    await later[Symbol.asyncDispose]()
    expect(await flushed(slot)).toBe(slice.position.partitions[0]?.offset)
    expect(await flushed(slot)).not.toBe(before)
    await admin.query(`INSERT INTO ${table} VALUES (3)`)
    await using last = await readerOf(source, model, slice.position)
    expect((await entriesOf(last, 1)).entries.map(({ key }) => key)).toEqual(['3'])
    await admin.query(`DROP TABLE ${table}_other`)
  })

  it('lets the server forget nothing because a reader goes on behind it', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY)')
    const position = await begun(test)
    const { table, slot, model, open } = test
    await using source = open()
    await using reader = await readerOf(source, model, position)
    await admin.query(`INSERT INTO ${table} VALUES (1)`)
    const { position: behind } = await sliceOf(reader)
    await admin.query(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot}'`,
    )
    await admin.query(`INSERT INTO ${table} VALUES (2)`)
    expect((await entriesOf(reader, 1)).entries.map(({ key }) => key)).toEqual(['2'])
    await reader[Symbol.asyncDispose]()
    expect(await openedAt(test, position)).toBeNull()
    expect(await openedAt(test, behind)).toBeNull()
    expect(await openedAt(test, position)).toBeNull()
  })

  it('takes the slot from a reader of before, which then says so', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY)')
    const position = await begun(test)
    await using source = test.open()
    await using older = await readerOf(source, test.model, position)
    const waiting = older.next(BOUNDS)
    const ended = expect(waiting).rejects.toMatchObject({
      code: 'unreachable',
      retryable: true,
      message: expect.stringMatching(/another reader has taken the replication slot/),
    })
    await using newer = await readerOf(source, test.model, position)
    await ended
    await admin.query(`INSERT INTO ${test.table} VALUES (1)`)
    expect((await entriesOf(newer, 1)).entries).toHaveLength(1)
  })
})
