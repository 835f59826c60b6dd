import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mysql, { type Connection } from 'mysql2/promise'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import type { MysqlSourceSpec } from '@sluice/contracts/resources'
import { TEST_CERTIFICATE } from '@sluice/testkit/test-certificate'
import { errorOf, modelOf, sourceContract } from '../../test/contract.ts'
import { queryFile } from '../../test/query-file.ts'
import { secretOf, serverConnectionTests } from '../../test/server-tests.ts'
import { createMysqlSource } from './mysql.ts'

const url = inject('mariadbUrl')
const address = new URL(url ?? 'mysql://nobody@127.0.0.1:1/none')
const { signal } = new AbortController()
/** While a test holds this lock, the queries that ask for it wait. */
const LOCK = `sluice-${randomUUID()}`

function specOf(fields: Partial<MysqlSourceSpec> = {}): MysqlSourceSpec {
  const login = new URL(address)
  login.password = ''
  const password = `\${secret:${address.password}}`
  return { kind: 'source', name: 'crm', type: 'mysql', url: login.href, password, ...fields }
}

function open(fields: Partial<MysqlSourceSpec> = {}) {
  return createMysqlSource({ spec: specOf(fields), secretFor: secretOf })
}

/** SQL of a query that sends this many rows, about 100 bytes each, and then waits for the lock. */
function waitingAfter(rows: number): string {
  const wait = `CASE WHEN seq > ${rows} THEN GET_LOCK('${LOCK}', 600) END`
  return `SELECT seq AS id, repeat('x', 100) AS filling, ${wait} AS waits FROM seq_1_to_${rows + 1}`
}

describe.skipIf(url === null)('MariaDB', () => {
  const stranger = `sluice_${randomUUID().slice(0, 8)}`
  const login = new URL(address)
  login.username = stranger
  login.password = ''
  const database = address.pathname.slice(1)
  let admin: Connection
  let folder = ''
  const file = () => join(folder, 'extract.duckdb')

  beforeAll(async () => {
    admin = await mysql.createConnection({ uri: address.href, multipleStatements: true })
    await admin.query(`SELECT GET_LOCK('${LOCK}', 0)`)
    await admin.query(
      `CREATE USER ${stranger} IDENTIFIED BY 'hush-hush'; GRANT SHOW VIEW ON ${database}.* TO ${stranger}; CREATE TABLE ${stranger}_closed AS SELECT 1 AS id`,
    )
  })
  afterAll(async () => {
    await admin.query(`DROP TABLE ${stranger}_closed; DROP USER ${stranger}`)
    await admin.end()
  })
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-mysql-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('reports the rights of a login beyond reading', async () => {
    const login = `reader_${randomUUID().slice(0, 8)}`
    const through = new URL(address)
    through.username = login
    through.password = ''
    const database = address.pathname.slice(1)
    const rights = () => open({ url: through.href, password: '${secret:hush}' }).excessRights?.({ signal })
    await admin.query(`CREATE USER ${login} IDENTIFIED BY 'hush'`)
    try {
      await admin.query(`GRANT SELECT, SHOW VIEW ON ${database}.* TO ${login}`)
      expect(await rights()).toEqual([])
      await admin.query(`GRANT FILE ON *.* TO ${login}; GRANT UPDATE ON ${database}.* TO ${login}`)
      expect(await rights()).toEqual(['has FILE on *.*', `has UPDATE on \`${database}\`.*`])
    } finally {
      await admin.query(`DROP USER ${login}`)
    }
  })

  it('changes and cuts no value, whatever the server sets as sessions begin', async () => {
    const login = `reader_${randomUUID().slice(0, 8)}`
    const through = new URL(address)
    through.username = login
    through.password = ''
    const database = address.pathname.slice(1)
    await admin.query(`CREATE USER ${login} IDENTIFIED BY 'hush'; GRANT SELECT ON ${database}.* TO ${login}`)
    const settings = 'NAMES latin1, SESSION sql_select_limit = 2, SESSION group_concat_max_len = 1024'
    const [[before]] = await admin.query<mysql.RowDataPacket[]>('SELECT @@GLOBAL.init_connect AS sql_text')
    await admin.query('SET GLOBAL init_connect = ?', [`SET ${settings}`])
    try {
      const source = open({ url: through.href, password: '${secret:hush}' })
      const longest = `(SELECT GROUP_CONCAT(s.seq) FROM seq_1_to_9999 AS s)`
      const sql = `SELECT seq AS id, 'é€😀' AS text, ${longest} AS list FROM seq_1_to_5`
      const { rowCount } = await source.extract(modelOf(sql), { file: file(), signal })
      expect(rowCount).toBe(5)
      const [found] = await queryFile(file(), 'SELECT text, length(list) AS length FROM rows LIMIT 1')
      const list = Array.from({ length: 9999 }, (_, index) => index + 1).join(',')
      expect(found).toEqual({ text: 'é€😀', length: String(list.length) })
    } finally {
      await admin.query('SET GLOBAL init_connect = ?', [before?.['sql_text'] ?? ''])
      await admin.query(`DROP USER ${login}`)
    }
  })

  /** Resolves with the threads of the server that run a query which contains this text. */
  async function threadsOf(mark: string): Promise<readonly { id: number; state: string | null }[]> {
    const [rows] = await admin.query<(mysql.RowDataPacket & { id: number; state: string | null })[]>(
      'SELECT id, state FROM information_schema.processlist WHERE info LIKE ? AND id <> connection_id()',
      [`%${mark}%`],
    )
    return rows.map(({ id, state }) => ({ id, state }))
  }
  async function untilItWaits(mark: string): Promise<number> {
    return vi.waitFor(
      async () => {
        const [thread] = await threadsOf(mark)
        if (thread?.state !== 'User lock') throw new Error('no query waits for the lock')
        return thread.id
      },
      { timeout: 20_000, interval: 20 },
    )
  }
  const untilGone = (mark: string) =>
    vi.waitFor(async () => expect(await threadsOf(mark)).toEqual([]), { timeout: 10_000, interval: 20 })

  sourceContract('mysql', () => ({
    open: () => Promise.resolve(open()),
    endlessSql: "SELECT BENCHMARK(10000000000, SHA2('x', 512)) AS id",
    numbers: (from, to) => `(SELECT seq AS n FROM seq_${from}_to_${to}) AS numbers`,
    characterOf: codePoint => `CONVERT(CHAR(${codePoint} USING utf32) USING utf8mb4)`,
    firstCharacter: 0,
    longText: "repeat('x', 13000000)",
    values: [
      ['TRUE', { kind: 'integer' }, '1'],
      ['9223372036854775807', { kind: 'long' }, '9223372036854775807'],
      [
        'CAST(18446744073709551615 AS UNSIGNED)',
        { kind: 'decimal', precision: 20, scale: 0 },
        '18446744073709551615',
      ],
      ['CAST(1.5 AS DECIMAL(9,2))', { kind: 'decimal', precision: 9, scale: 2 }, '1.50'],
      ['CAST(1.5 AS DECIMAL(60,2))', { kind: 'json' }, '1.50'],
      ['0.1e0', { kind: 'double' }, '0.1'],
      ["CAST('a ' AS CHAR(3))", { kind: 'text' }, 'a '],
      ["x'00FF5C0A'", { kind: 'bytes' }, '00FF5C0A'],
      ["CAST('2024-02-29' AS DATE)", { kind: 'text' }, '2024-02-29'],
      ["CAST('-838:59:59.5' AS TIME(1))", { kind: 'text' }, '-838:59:59.5'],
      ["CAST('2024-02-29 12:34:56.100' AS DATETIME(3))", { kind: 'text' }, '2024-02-29T12:34:56.1'],
      ["JSON_ARRAY(1.50, 'é')", { kind: 'json' }, '[1.50, "é"]'],
      [
        "CAST('0E37DF36-F698-11E6-8DD4-CB9CED3DF976' AS UUID)",
        { kind: 'uuid' },
        '0e37df36-f698-11e6-8dd4-cb9ced3df976',
      ],
    ],
  }))

  describe('its rows', () => {
    it('come from one snapshot', async () => {
      const table = `t${randomUUID().replaceAll('-', '')}`
      await admin.query(`CREATE TABLE ${table} (id int) ENGINE = InnoDB; INSERT INTO ${table} VALUES (1)`)
      const sql = `SELECT 0 AS id, GET_LOCK('${LOCK}', 600) AS waits UNION ALL SELECT id, 0 FROM ${table}`
      const extracting = open().extract(modelOf(sql), { file: file(), signal })
      await untilItWaits(table)
      await admin.query(`INSERT INTO ${table} VALUES (2)`)
      await admin.query(`SELECT RELEASE_LOCK('${LOCK}')`)
      expect((await extracting).rowCount).toBe(2)
      await admin.query(`SELECT GET_LOCK('${LOCK}', 10)`)
      await admin.query(`DROP TABLE ${table}`)
    })

    it('come from a table by its name, as it is written', async () => {
      await admin.query('CREATE DATABASE `my crm`; CREATE TABLE `my crm`.`Customers` AS SELECT 2 AS id')
      const { sql: _, ...model } = modelOf('')
      const extract = await open().extract({ ...model, table: 'my crm.Customers' }, { file: file(), signal })
      expect(extract.rowCount).toBe(1)
      await admin.query('DROP DATABASE `my crm`')
    })

    it('have columns of any name, even of names that mysql2 refuses', async () => {
      const names = ['__proto__', '__defineGetter__', 'constructor', 'toString', '__lookupSetter__']
      const sql = `SELECT ${names.map((name, index) => `${index} AS \`${name}\``).join(', ')}`
      const extract = await open().extract(
        { ...modelOf(sql), primaryKey: '__proto__' },
        { file: file(), signal },
      )
      expect(extract.columns.map(column => column.name)).toEqual(names)
      const quoted = names.map((name, index) => `"${name}" AS c${index}`).join(', ')
      expect(await queryFile(file(), `SELECT ${quoted} FROM rows`)).toEqual([
        { c0: 0, c1: 1, c2: 2, c3: 3, c4: 4 },
      ])
    })

    it('keep the year 0000, and a query in which the server would turn it into 2000 is refused', async () => {
      const table = `t${randomUUID().replaceAll('-', '')}`
      await admin.query(`CREATE TABLE ${table} (y YEAR, f FLOAT); INSERT INTO ${table} VALUES (0, 0.1)`)
      const rows = async (sql: string) => {
        rmSync(file(), { force: true })
        await open().extract(modelOf(sql), { file: file(), signal })
        return queryFile(file(), 'SELECT * FROM rows')
      }
      expect(await rows(`SELECT y AS id, f FROM ${table} GROUP BY y`)).toEqual([
        { id: 0, f: Math.fround(0.1) },
      ])
      expect(await rows(`SELECT IFNULL(y, y) AS id FROM ${table} GROUP BY y`)).toEqual([{ id: 0 }])
      const calculated = `SELECT 1 AS id, IFNULL(y, y) AS year, f FROM ${table} GROUP BY y`
      expect(await errorOf(open().describe(modelOf(calculated), { signal }))).toMatchObject({
        code: 'query',
        message: expect.stringContaining('CAST(… AS UNSIGNED) AS `year`'),
      })
      const cast = calculated.replace('IFNULL(y, y)', 'CAST(IFNULL(y, y) AS UNSIGNED)')
      expect(await rows(cast)).toEqual([{ id: 1, year: '0', f: Math.fround(0.1) }])
      await admin.query(`DROP TABLE ${table}`)
    })

    it('are refused if a column has no name', async () => {
      const error = await errorOf(open().describe(modelOf('SELECT 1 AS id, 2 AS ``'), { signal }))
      expect(error).toMatchObject({
        code: 'query',
        message: expect.stringContaining('a column without a name, number 2'),
      })
    })
  })

  it('is not changed by SQL that only looks like a query', async () => {
    await admin.query('CREATE OR REPLACE TABLE precious (id int); CREATE OR REPLACE SEQUENCE precious_seq')
    await admin.query(
      'SET GLOBAL log_bin_trust_function_creators = 1; CREATE OR REPLACE FUNCTION burn() RETURNS int NOT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO precious VALUES (1); RETURN 1; END',
    )
    for (const sql of [
      `SELECT 1 AS id INTO OUTFILE '${join(folder, 'out')}'`,
      'SELECT 1 AS id INTO @x',
      'SELECT nextval(precious_seq) AS id',
      'SELECT burn() AS id',
      'EXPLAIN SELECT 1',
      'SHOW TABLES',
      'CALL nothing()',
      'SELECT 1 AS id) AS q, (SELECT 2 AS b',
      'SELECT ? AS id',
    ])
      expect((await errorOf(open().extract(modelOf(sql), { file: file(), signal }))).code, sql).toBe('query')
    expect(readdirSync(folder)).toEqual([])
    await admin.query('DROP TABLE precious; DROP SEQUENCE precious_seq; DROP FUNCTION burn')
  })

  it.each([
    ["SELECT '😀' AS id,\n  '😀', lenght('x') AS n", 2, 8, /FUNCTION .*lenght does not exist/],
    ['SELECT 1 AS id\nFORM x', 2, 1, /syntax/],
    ['SELECT 1 AS id\n  FROM nowhere.at_all', 2, 8, /at_all.* doesn't exist/],
    ['SELECT a.nope AS id FROM (SELECT 1 AS b) AS a', 1, 8, /Unknown column/],
    ['SELECT (1 AS id', 1, 11, /syntax/],
  ])('reports its own message and the place for %j', async (sql, line, column, words) => {
    const error = await errorOf(open().describe(modelOf(sql), { signal }))
    expect(error.message).toMatch(words)
    expect(error.message).toContain(
      `The query of model customers fails in source crm (line ${line}, column ${column}`,
    )
    expect(error.details[0]).toMatchObject({ line, column, field: 'sql' })
  })

  serverConnectionTests(
    {
      product: 'MySQL',
      address: new URL(specOf().url),
      open,
      specOf,
      waitingAfter,
      manyRows: rows => `SELECT seq AS id, repeat(md5(seq), 4) AS text FROM seq_1_to_${rows}`,
      untilItWaits,
      untilGone,
      endConnection: id => admin.query(`KILL ${id}`),
      endedSays: '',
      stranger: { url: login.href, password: 'hush-hush', table: `${stranger}_closed` },
    },
    { folder: () => folder, file },
  )

  it('logs in with the secret over TLS, and checks the certificate of the server', async () => {
    const user = `sluice_${randomUUID().slice(0, 8)}`
    await admin.query(`CREATE USER ${user} IDENTIFIED BY 'hush-hush' REQUIRE SSL`)
    const login = new URL(address)
    login.username = user
    login.password = ''
    login.pathname = '/information_schema'
    const model = modelOf(
      "SELECT variable_value <> '' AS id FROM session_status WHERE variable_name = 'Ssl_cipher'",
    )
    const tls = { ca: TEST_CERTIFICATE.cert }
    const fields = { url: login.href, password: '${secret:hush-hush}', tls }
    await open(fields).extract(model, { file: file(), signal })
    expect(await queryFile(file(), 'FROM rows')).toEqual([{ id: 1 }])
    await open({ ...fields, tls: { insecure: true } }).describe(model, { signal })

    const unknown = await errorOf(open({ ...fields, tls: {} }).describe(model, { signal }))
    expect(unknown).toMatchObject({ code: 'unreachable', message: expect.stringContaining('self-signed') })
    // The same server, by a name that its certificate does not contain.
    login.hostname = '127.1'
    const other = await errorOf(open({ ...fields, url: login.href }).describe(model, { signal }))
    expect(other).toMatchObject({ code: 'unreachable', message: expect.stringContaining('altnames') })
    await admin.query(`DROP USER ${user}`)
  })
})
