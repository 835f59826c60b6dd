/** What following a table takes, and what is said if it is not there. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { ModelSpec } from '@sluice/contracts/resources'
import { errorOf } from '../../test/contract.ts'
import { FollowedTables, type FollowedTest } from '../../test/followed-tables.ts'
import { entriesOf, readerOf } from '../../test/stream-contract.ts'

const url = inject('postgresUrl')
const address = new URL(url ?? 'postgres://nobody@127.0.0.1:1/none')
const { signal } = new AbortController()

describe.skipIf(url === null)('following a table', { timeout: 60_000 }, () => {
  const tables = new FollowedTables(address)
  const role = `follower_${randomUUID().slice(0, 8)}`
  let folder = ''
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-follow-'))
    await tables.connect()
    await tables.admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'once'`)
  })
  afterAll(async () => {
    await tables.admin.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    await tables[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })
  const database = address.pathname.slice(1)
  const asRole = ({ open }: FollowedTest, fields: Parameters<FollowedTest['open']>[0] = {}) => {
    const login = new URL(address)
    login.username = role
    login.password = ''
    return open({ url: login.href, password: '${secret:once}', ...fields })
  }
  const fails = async (test: FollowedTest, model: ModelSpec = test.model, source = test.open()) => {
    await using opened = source
    const checked = await errorOf(opened.check?.(model, { signal }) ?? Promise.resolve())
    const error = await errorOf(opened.open(model, null, { signal }))
    expect(error.code).toBe('config')
    expect(checked.message).toBe(error.message)
    return error.message
  }
  const publications = async (name: string) =>
    (await tables.admin.query(`SELECT 1 FROM pg_publication WHERE pubname = '${name}'`)).rows.length
  const slots = async (name: string) =>
    (await tables.admin.query(`SELECT 1 FROM pg_replication_slots WHERE slot_name = '${name}'`)).rows.length

  it('needs the right to read the log and the table, and the right to publish or a publication', async () => {
    await using test = await tables.make(
      'CREATE TABLE FOLLOWED (id int PRIMARY KEY); INSERT INTO FOLLOWED VALUES (1)',
    )
    const { table, model, slot } = test
    const { admin } = tables
    expect(await fails(test, model, asRole(test))).toBe(
      `Source crm: the login ${role} may not read the log: as a superuser, run ALTER ROLE ${role} REPLICATION (on Amazon RDS: GRANT rds_replication TO ${role}).`,
    )
    await admin.query(`ALTER ROLE ${role} REPLICATION; GRANT SELECT ON ${table} TO ${role}`)
    expect(await fails(test, model, asRole(test))).toMatch(
      new RegExp(
        `cannot publish changes: .*As \\w+, who owns it, run CREATE PUBLICATION "${slot}" FOR TABLE "${table}"`,
      ),
    )
    await admin.query(`ALTER TABLE ${table} OWNER TO ${role}`)
    expect(await fails(test, model, asRole(test))).toContain(
      `run GRANT CREATE ON DATABASE ${database} TO ${role}`,
    )
    expect(await slots(slot)).toBe(0)
    await admin.query(
      `ALTER TABLE ${table} OWNER TO CURRENT_USER; GRANT SELECT ON ${table} TO ${role}; CREATE PUBLICATION ${slot} FOR TABLE ${table}`,
    )
    await using source = asRole(test)
    await using reader = await readerOf(source, model, null)
    expect((await reader.compare({ file: join(folder, 'rights'), signal })).rowCount).toBe(1)
    await admin.query(`INSERT INTO ${table} VALUES (2)`)
    expect((await entriesOf(reader, 1)).entries.map(({ key }) => key)).toEqual(['2'])
    await reader[Symbol.asyncDispose]()
    await source.release(model, { signal })
    expect(await slots(slot)).toBe(0)
    expect(await publications(slot)).toBe(1)
  })

  it('is checked, and leaves nothing behind', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY)')
    await using source = test.open()
    await source.check?.(test.model, { signal })
    expect(await slots(test.slot)).toBe(0)
    expect(await publications(test.slot)).toBe(0)
  })

  it('gives back the slot and the publication that it has made', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY)')
    await using source = test.open()
    await (await readerOf(source, test.model, null))[Symbol.asyncDispose]()
    expect([await slots(test.slot), await publications(test.slot)]).toEqual([1, 1])
    await source.release(test.model, { signal })
    expect([await slots(test.slot), await publications(test.slot)]).toEqual([0, 0])
  })

  it('uses the names that `follow` has, and adds the table to a publication', async () => {
    await using test = await tables.make(
      'CREATE TABLE FOLLOWED (id int PRIMARY KEY); CREATE TABLE FOLLOWED_other (id int); CREATE PUBLICATION FOLLOWED_all FOR TABLE FOLLOWED_other',
    )
    const follow = { publication: `${test.table}_all`, slot: `${test.table}_own` }
    await using source = test.open({ follow })
    await (await readerOf(source, test.model, null))[Symbol.asyncDispose]()
    const { rows } = await tables.admin.query<{ table: string }>(
      `SELECT tablename::text AS table FROM pg_publication_tables WHERE pubname = '${follow.publication}' ORDER BY 1`,
    )
    expect(rows).toEqual([{ table: test.table }, { table: `${test.table}_other` }])
    expect(await slots(follow.slot)).toBe(1)
    await source.release(test.model, { signal })
    expect([await slots(follow.slot), await publications(follow.publication)]).toEqual([0, 1])
    await tables.admin.query(`DROP PUBLICATION ${follow.publication}; DROP TABLE ${test.table}_other`)
  })

  it('refuses a table whose rows nothing would tell apart, and leaves it as it is', async () => {
    await using test = await tables.make(
      'CREATE TABLE FOLLOWED (id int, name text); INSERT INTO FOLLOWED VALUES (1)',
    )
    const { table, slot } = test
    expect(await fails(test)).toMatch(
      new RegExp(`as \\w+, run ALTER TABLE ${table} REPLICA IDENTITY FULL, or give it a primary key\\.$`),
    )
    await tables.admin.query(`UPDATE ${table} SET name = 'x'`)
    await tables.admin.query(`ALTER TABLE ${table} REPLICA IDENTITY FULL`)
    expect(await fails(test)).toContain('CREATE UNIQUE INDEX ON its table ("id")')
    await tables.admin.query(`CREATE UNIQUE INDEX ON ${table} (id)`)
    await using source = test.open()
    await (await readerOf(source, test.model, null))[Symbol.asyncDispose]()
    await tables.admin.query(`ALTER TABLE ${table} REPLICA IDENTITY NOTHING`)
    expect(await fails(test)).toContain('REPLICA IDENTITY FULL')
    expect(await slots(slot)).toBe(1)
  })

  it('refuses a key that the log does not tell of removed rows', async () => {
    await using test = await tables.make(
      'CREATE TABLE FOLLOWED (id int PRIMARY KEY, mail text NOT NULL UNIQUE)',
    )
    const byMail = { ...test.model, primaryKey: 'mail' }
    expect(await fails(test, byMail)).toContain(
      `for rows that are removed from ${test.table} the log tells id alone, and \`primaryKey\` has mail`,
    )
    await tables.admin.query(`ALTER TABLE ${test.table} REPLICA IDENTITY USING INDEX ${test.table}_mail_key`)
    await using source = test.open()
    await using reader = await readerOf(source, byMail, null)
    await reader.compare({ file: join(folder, 'mail'), signal })
    await tables.admin.query(
      `INSERT INTO ${test.table} VALUES (1, 'a'); UPDATE ${test.table} SET mail = 'b'; DELETE FROM ${test.table}`,
    )
    const { entries } = await entriesOf(reader, 4)
    expect(entries.map(({ key, row }) => [key, row])).toEqual([
      ['a', { id: 1, mail: 'a' }],
      ['a', null],
      ['b', { id: 1, mail: 'b' }],
      ['b', null],
    ])
  })

  it('refuses what is not in the log, and names the table that is not there', async () => {
    await using test = await tables.make(
      'CREATE TABLE FOLLOWED (id int PRIMARY KEY); CREATE VIEW FOLLOWED_view AS FROM_FOLLOWED'.replace(
        'FROM_FOLLOWED',
        'SELECT * FROM FOLLOWED',
      ),
    )
    expect(await fails(test, { ...test.model, table: `${test.table}_view` })).toContain('this is a view')
    await using source = test.open()
    const error = await errorOf(source.describe({ ...test.model, table: 'nowhere' }, { signal }))
    expect(error).toMatchObject({ code: 'query', details: [{ field: 'table' }] })
    await tables.admin.query(`ALTER TABLE ${test.table} SET UNLOGGED`)
    expect(await fails(test)).toContain('it is unlogged')
  })

  it('refuses rows that the log does not tell as those of the table, or only in part', async () => {
    await using parent = await tables.make(
      'CREATE TABLE FOLLOWED (id int PRIMARY KEY); CREATE TABLE FOLLOWED_heir () INHERITS (FOLLOWED)',
    )
    expect(await fails(parent)).toContain('tables that inherit from it')
    await using parts = await tables.make(
      `CREATE TABLE FOLLOWED (id int PRIMARY KEY) PARTITION BY RANGE (id);
       CREATE UNLOGGED TABLE FOLLOWED_low PARTITION OF FOLLOWED FOR VALUES FROM (0) TO (9)`,
    )
    expect(await fails(parts)).toContain(`its partition ${parts.table}_low is unlogged`)
  })

  it('refuses a table of which the login sees only some rows', async () => {
    await using test = await tables.make(
      'CREATE TABLE FOLLOWED (id int PRIMARY KEY); ALTER TABLE FOLLOWED ENABLE ROW LEVEL SECURITY',
    )
    await tables.admin.query(`ALTER ROLE ${role} REPLICATION; GRANT SELECT ON ${test.table} TO ${role}`)
    expect(await fails(test, test.model, asRole(test))).toContain('BYPASSRLS')
  })

  it.each([
    [`WITH (publish = 'insert, update')`, 'leaves out inserts, updates, deletes or truncates'],
    ['WHERE (id > 1)', 'leaves out rows or columns'],
    ['(id)', 'leaves out rows or columns'],
  ])('refuses a publication that tells too little: %s', async (option, why) => {
    await using test = await tables.make(
      `CREATE TABLE FOLLOWED (id int PRIMARY KEY, name text); CREATE PUBLICATION sluice_FOLLOWED FOR TABLE FOLLOWED ${option}`,
    )
    expect(await fails(test)).toContain(why)
    expect(await slots(test.slot)).toBe(0)
  })

  it('refuses a slot of another kind', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY)')
    await tables.admin.query(`SELECT pg_create_physical_replication_slot('${test.slot}')`)
    expect(await fails(test)).toContain(`the replication slot ${test.slot} is of another database or plugin`)
    await tables.admin.query(`SELECT pg_drop_replication_slot('${test.slot}')`)
  })

  it('shows no secret part of its URL, and says when the server cannot be reached', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY)')
    const hidden = `postgres://\${secret:hush-user}@${address.host}${address.pathname}`
    await using refused = test.open({ url: hidden })
    const error = await errorOf(refused.open(test.model, null, { signal }))
    expect(error.code).toBe('config')
    expect(error.message).not.toContain('hush')
    await using nowhere = test.open({ url: 'postgres://nobody@127.0.0.1:1/none' })
    expect(await errorOf(nowhere.open(test.model, null, { signal }))).toMatchObject({
      code: 'unreachable',
      retryable: true,
    })
  })

  it('rejects a source without `follow`', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY)')
    expect(() => test.open({ follow: undefined })).toThrow('it has no `follow`')
  })

  it('ends at once when it is aborted while another transaction holds up the slot', async () => {
    await using test = await tables.make('CREATE TABLE FOLLOWED (id int PRIMARY KEY)')
    await tables.admin.query('BEGIN; SELECT txid_current()')
    await using source = test.open()
    const aborting = new AbortController()
    const opening = source.open(test.model, null, { signal: aborting.signal })
    const rejected = expect(opening).rejects.toThrow('enough')
    await expect.poll(async () => await slots(test.slot), { timeout: 20_000 }).toBe(1)
    aborting.abort(new Error('enough'))
    await rejected
    await tables.admin.query('COMMIT')
  })
})
