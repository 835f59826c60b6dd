import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import type { PostgresSourceSpec } from '@sluice/contracts/resources'
import { WHY_INVALID } from '@sluice/contracts/values'
import { TEST_CERTIFICATE } from '@sluice/testkit/test-certificate'
import { errorOf, modelOf, sourceContract } from '../../test/contract.ts'
import { queryFile } from '../../test/query-file.ts'
import { startPooler } from '../../test/postgres-pooler.ts'
import { createPostgresSource } from './postgres.ts'
import { secretOf, serverConnectionTests } from '../../test/server-tests.ts'

const url = inject('postgresUrl')
const address = new URL(url ?? 'postgres://nobody@127.0.0.1:1/none')
const { signal } = new AbortController()
/** While a test holds this lock, the queries that ask for it wait. */
const LOCK = 4711

function specOf(fields: Partial<PostgresSourceSpec> = {}): PostgresSourceSpec {
  return { kind: 'source', name: 'crm', type: 'postgres', url: address.href, ...fields }
}

function open(fields: Partial<PostgresSourceSpec> = {}) {
  return createPostgresSource({ spec: specOf(fields), secretFor: secretOf })
}

/** SQL of a query that sends this many rows, about 100 bytes each, and then waits for the lock. */
function waitingAfter(rows: number): string {
  const wait = `CASE WHEN g > ${rows} THEN pg_advisory_lock_shared(${LOCK})::text END`
  return `SELECT g AS id, repeat('x', 100) AS filling, ${wait} AS waits FROM generate_series(1, ${rows + 1}) AS g`
}

function urlAs(role: string): string {
  const through = new URL(address)
  through.username = role
  through.password = ''
  return through.href
}

describe.skipIf(url === null)('PostgreSQL', () => {
  let admin: pg.Client
  let folder = ''
  const file = () => join(folder, 'extract.duckdb')

  beforeAll(async () => {
    admin = new pg.Client({ connectionString: url ?? '' })
    await admin.connect()
    await admin.query(`SELECT pg_advisory_lock(${LOCK})`)
  })
  afterAll(() => admin.end())
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-postgres-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const user = `sluice_${randomUUID().slice(0, 8)}`
  const login = new URL(address)
  login.username = user

  beforeAll(async () => {
    const write = (lines: string, name: string) =>
      admin.query(
        `COPY (SELECT unnest(string_to_array('${lines}', E'\\n'))) TO PROGRAM 'umask 077; cat > "${name}"'`,
      )
    await admin.query(
      `CREATE ROLE ${user} LOGIN PASSWORD 'hush-hush'; CREATE TABLE ${user}_closed AS SELECT 1 AS id`,
    )
    const { rows } = await admin.query<{ file: string; lines: string }>(
      `SELECT current_setting('hba_file') AS file, pg_read_file(current_setting('hba_file')) AS lines`,
    )
    const [hba] = rows
    await write(
      `host all ${user} all scram-sha-256\n${hba?.lines ?? ''}`.replaceAll("'", "''"),
      hba?.file ?? '',
    )
    await write(TEST_CERTIFICATE.cert, 'server.crt')
    await write(TEST_CERTIFICATE.key, 'server.key')
    await admin.query('ALTER SYSTEM SET ssl = on')
    await admin.query('SELECT pg_reload_conf()')
    await vi.waitFor(async () => {
      const { rows: settings } = await admin.query('SHOW ssl')
      expect(settings).toEqual([{ ssl: 'on' }])
    })
  })
  afterAll(() => admin.query(`DROP TABLE ${user}_closed; DROP ROLE ${user}`))

  describe('the login', () => {
    const login = `reader_${randomUUID().slice(0, 8)}`
    const asLogin = () => open({ url: urlAs(login), password: '${secret:hush}' })
    beforeAll(async () => {
      await admin.query(`CREATE ROLE ${login} LOGIN PASSWORD 'hush'`)
      await admin.query(`CREATE TABLE ${login}_table AS SELECT 1 AS id`)
    })
    afterAll(async () => {
      await admin.query(`DROP TABLE ${login}_table`)
      await admin.query(`DROP OWNED BY ${login}`)
      await admin.query(`DROP ROLE ${login}`)
    })

    it('that is a superuser may do more than read', async () => {
      expect(await open().excessRights?.({ signal })).toEqual(['is a superuser'])
    })

    it('that only reads may do nothing else, and a right to write or to run programs is reported', async () => {
      await admin.query(`GRANT SELECT ON ${login}_table TO ${login}`)
      expect(await asLogin().excessRights?.({ signal })).toEqual([])
      await admin.query(`GRANT UPDATE ON ${login}_table TO ${login}`)
      await admin.query(`GRANT pg_execute_server_program TO ${login}`)
      expect(await asLogin().excessRights?.({ signal })).toEqual([
        'is a member of pg_execute_server_program',
        `may write to tables such as public.${login}_table`,
      ])
    })
  })

  /** Resolves with the processes of the server that run a query with this text in it. */
  async function backendsOf(mark: string): Promise<readonly { pid: number; waits: boolean }[]> {
    const { rows } = await admin.query<{ pid: number; waits: boolean }>(
      `SELECT pid, wait_event = 'advisory' AS waits FROM pg_stat_activity
       WHERE application_name = 'sluice' AND state = 'active' AND query LIKE '%' || $1 || '%'`,
      [mark],
    )
    return rows
  }
  async function untilItWaits(mark: string): Promise<number> {
    return vi.waitFor(
      async () => {
        const [backend] = await backendsOf(mark)
        if (backend?.waits !== true) throw new Error('no query waits for the lock')
        return backend.pid
      },
      { timeout: 20_000, interval: 20 },
    )
  }
  const untilGone = (mark: string) =>
    vi.waitFor(async () => expect(await backendsOf(mark)).toEqual([]), { timeout: 10_000, interval: 20 })

  sourceContract('postgres', () => ({
    open: () => Promise.resolve(open()),
    endlessSql: 'SELECT count(*) AS id FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b',
    numbers: (from, to) => `generate_series(${from}, ${to}) AS numbers(n)`,
    characterOf: codePoint => `chr(${codePoint})`,
    firstCharacter: 1,
    longText: "repeat('x', 13000000)",
    values: [
      ['true', { kind: 'boolean' }, 'true'],
      ['CAST(-32768 AS smallint)', { kind: 'integer' }, '-32768'],
      ['9223372036854775807', { kind: 'long' }, '9223372036854775807'],
      ['CAST(1.5 AS numeric(9,2))', { kind: 'decimal', precision: 9, scale: 2 }, '1.50'],
      [
        '12345678901234567890123456789012345678901.50',
        { kind: 'json' },
        '12345678901234567890123456789012345678901.50',
      ],
      ['CAST(0.1 AS real)', { kind: 'float' }, '0.1'],
      ['CAST(0.1 AS float8)', { kind: 'double' }, '0.1'],
      ["CAST('a ' AS char(3))", { kind: 'text' }, 'a  '],
      ["decode('00ff5c0a', 'hex')", { kind: 'bytes' }, '00FF5C0A'],
      [
        "CAST('0E37DF36-F698-11E6-8DD4-CB9CED3DF976' AS uuid)",
        { kind: 'uuid' },
        '0e37df36-f698-11e6-8dd4-cb9ced3df976',
      ],
      ["CAST('2024-02-29' AS date)", { kind: 'date' }, '2024-02-29'],
      ["CAST('12:34:56.000001' AS time)", { kind: 'time' }, '12:34:56.000001'],
      [
        "CAST('2024-02-29 12:34:56.000001' AS timestamp)",
        { kind: 'timestamp', zone: false },
        '2024-02-29 12:34:56.000001',
      ],
      ['CAST(\'{"b": 1.50, "a": "\\u00e9"}\' AS json)', { kind: 'json' }, '{"b": 1.50, "a": "\\u00e9"}'],
      ['ARRAY[1, NULL, 3]', { kind: 'list', of: { kind: 'integer' } }, '[1, NULL, 3]'],
    ],
  }))

  it('ends the query of a run that is cancelled, though the role has no connection left', async () => {
    const role = `single_${randomUUID().slice(0, 8)}`
    const mark = `of ${role}`
    await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'once' CONNECTION LIMIT 1`)
    try {
      const cancel = new AbortController()
      const sql = `SELECT count(*) AS id FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE '${mark}' <> ''`
      const reading = open({ url: urlAs(role), password: '${secret:once}' }).extract(modelOf(sql), {
        file: file(),
        signal: cancel.signal,
      })
      const failed = expect(reading).rejects.toThrow()
      await vi.waitFor(async () => expect(await backendsOf(mark)).toHaveLength(1), { timeout: 20_000 })
      cancel.abort()
      await failed
      await untilGone(mark)
    } finally {
      await admin.query(`DROP ROLE ${role}`)
    }
  })

  it('ends the query of a run that is cancelled behind a pooler', async () => {
    await using pooler = await startPooler({ host: address.hostname, port: Number(address.port) })
    const mark = `behind ${randomUUID()}`
    const through = new URL(address)
    through.hostname = '127.0.0.1'
    through.port = String(pooler.port)
    const cancel = new AbortController()
    const sql = `SELECT count(*) AS id FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE '${mark}' <> ''`
    const reading = open({ url: through.href }).extract(modelOf(sql), { file: file(), signal: cancel.signal })
    const failed = expect(reading).rejects.toThrow()
    await vi.waitFor(async () => expect(await backendsOf(mark)).toHaveLength(1), { timeout: 20_000 })
    cancel.abort()
    await failed
    await untilGone(mark)
  })

  describe('its rows', () => {
    it('come from one snapshot', async () => {
      const table = `t${randomUUID().replaceAll('-', '')}`
      await admin.query(`CREATE TABLE ${table} AS SELECT 1 AS id`)
      const mark = `'${table}' AS mark`
      const waits = `(SELECT pg_advisory_lock_shared(${LOCK})::text) AS w`
      const sql = `SELECT 0 AS id, ${waits}, ${mark} UNION ALL SELECT id, '', '' FROM ${table}`
      const extracting = open().extract(modelOf(sql), { file: file(), signal })
      await untilItWaits(table)
      await admin.query(`INSERT INTO ${table} VALUES (2)`)
      await admin.query(`SELECT pg_advisory_unlock(${LOCK})`)
      expect((await extracting).rowCount).toBe(2)
      await admin.query(`SELECT pg_advisory_lock(${LOCK})`)
      await admin.query(`DROP TABLE ${table}`)
    })

    it('come from a table by its name, as it is written', async () => {
      await admin.query('CREATE SCHEMA "my crm"; CREATE TABLE "my crm"."Customers" AS SELECT 2 AS id')
      const { sql: _, ...model } = modelOf('')
      const extract = await open().extract({ ...model, table: 'my crm.Customers' }, { file: file(), signal })
      expect(extract.rowCount).toBe(1)
      await admin.query('DROP SCHEMA "my crm" CASCADE')
    })

    it('fail the query with the name of the column if a value cannot be carried', async () => {
      const error = await errorOf(
        open().extract(modelOf('SELECT 1 AS id, ARRAY[[1],[2]] AS price'), { file: file(), signal }),
      )
      expect(error).toMatchObject({ code: 'query', message: expect.stringContaining('column price') })
      expect(readdirSync(folder)).toEqual([])
    })

    it.each([
      ["'NaN'::numeric(9,2)", 'NaN, which no decimal'],
      ["'NaN'::numeric(30,2)", 'NaN, which no decimal'],
      ["'294276-12-31 23:59:59'::timestamp", '294276-12-31 23:59:59, which no timestamp'],
      ["'294276-12-31 23:59:59+00'::timestamptz", '294276-12-31 23:59:59+00, which no timestamp'],
      ["ARRAY['294276-12-31'::timestamp]", '["294276-12-31 00:00:00"], which no list'],
    ])('say why a row is invalid if its value cannot be carried: %s', async (value, why) => {
      await open().extract(modelOf(`SELECT 1 AS id, ${value} AS price`), { file: file(), signal })
      expect(await queryFile(file(), 'FROM rows')).toEqual([
        { id: 1, price: null, [WHY_INVALID]: `column "price" has ${why} of Sluice can hold` },
      ])
    })
  })

  it('is not changed by SQL that only looks like a query', async () => {
    await admin.query(
      'CREATE TABLE IF NOT EXISTS precious (id int); CREATE SEQUENCE IF NOT EXISTS precious_seq',
    )
    for (const sql of [
      'WITH gone AS (DELETE FROM precious RETURNING id) SELECT id FROM gone',
      'SELECT id INTO stolen FROM precious',
      "SELECT nextval('precious_seq') AS id",
      'SELECT id FROM precious FOR UPDATE',
      "SELECT set_config('transaction_read_only', 'off', true) AS id",
      'EXPLAIN SELECT 1',
      'SHOW search_path',
      'SELECT 1 AS id) AS q, (SELECT 2 AS b',
      'SELECT $1::int AS id',
    ])
      expect((await errorOf(open().extract(modelOf(sql), { file: file(), signal }))).code, sql).toBe('query')
    await admin.query('DROP TABLE precious; DROP SEQUENCE precious_seq')
  })

  it('reports its own message, a hint, and a place that counts characters', async () => {
    const sql = "SELECT '😀' AS id,\n  '😀', lenght('x') AS n"
    const error = await errorOf(open().describe(modelOf(sql), { signal }))
    expect(error.message).toMatch(
      /^The query of model customers fails in source crm \(line 2, column 8 of its SQL\): function lenght\(unknown\) does not exist \(No function matches/,
    )
    expect(error.details[0]).toMatchObject({ line: 2, column: 8, field: 'sql' })
  })

  serverConnectionTests(
    {
      product: 'PostgreSQL',
      address,
      open,
      specOf,
      waitingAfter,
      manyRows: rows =>
        `SELECT g AS id, repeat(md5(g::text), 4) AS text FROM generate_series(1, ${rows}) AS g`,
      untilItWaits,
      untilGone,
      endConnection: pid => admin.query('SELECT pg_terminate_backend($1)', [pid]),
      endedSays: 'terminating connection',
      stranger: { url: login.href, password: 'hush-hush', table: `${user}_closed` },
    },
    { folder: () => folder, file },
  )

  it('says why it refuses a login', async () => {
    const wrong = new URL(address)
    wrong.pathname = '/nowhere'
    const error = await errorOf(open({ url: wrong.href }).describe(modelOf('SELECT 1 AS id'), { signal }))
    expect(error.code).toBe('config')
    expect(error.message).toContain('refuses the login: database "nowhere" does not exist')
  })

  describe('with passwords and TLS', () => {
    it('logs in with the secret over TLS, and checks the certificate of the server', async () => {
      const fields = {
        url: login.href,
        password: '${secret:hush-hush}',
        tls: { ca: TEST_CERTIFICATE.cert },
      }
      const sql = 'SELECT ssl AS id FROM pg_stat_ssl WHERE pid = pg_backend_pid()'
      await open(fields).extract(modelOf(sql), { file: file(), signal })
      expect(await queryFile(file(), 'FROM rows')).toEqual([{ id: true }])
      await open({ ...fields, tls: { insecure: true } }).describe(modelOf(sql), { signal })
      const error = await errorOf(open({ ...fields, tls: {} }).describe(modelOf(sql), { signal }))
      expect(error.code).toBe('unreachable')
      expect(error.message).toContain('self-signed certificate')
    })

    it('says that the password is missing', async () => {
      const source = open({ url: login.href })
      const error = await errorOf(source.describe(modelOf('SELECT 1 AS id'), { signal }))
      expect(error.code).toBe('config')
      expect(error.message).toContain('refuses the login: it asks for a password, and `password` is not set')
    })
  })
})
