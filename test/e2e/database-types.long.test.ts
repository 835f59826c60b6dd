/** Every type of a database, from a real one to the bytes of the request body. */
import { randomUUID } from 'node:crypto'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

/** An expression, and its text in a body. */
interface Typed {
  readonly sql: string
  readonly json: string
  /** The template's output of it, if not with `json`. */
  readonly printed?: (column: string) => string
}

const asJson = (sql: string, json: string): Typed => ({ sql, json })
/** JSON has no numbers for NaN and infinities. */
const asText = (sql: string, json: string): Typed => ({ sql, json, printed: name => `"{{ row.${name} }}"` })

const POSTGRES: readonly Typed[] = [
  asJson('9223372036854775807::bigint', '9223372036854775807'),
  asJson('(-9223372036854775808)::bigint', '-9223372036854775808'),
  asJson('(-32768)::smallint', '-32768'),
  asJson('2147483647', '2147483647'),
  asJson('4294967295::oid', '4294967295'),
  asJson(
    `'99999999999999999999999999999999999.999'::numeric(38,3)`,
    '99999999999999999999999999999999999.999',
  ),
  asJson('1.50::numeric(9,2)', '1.50'),
  asJson('-0.05::numeric(20,2)', '-0.05'),
  asJson('1e-38::numeric(38,38)', `0.${'1'.padStart(38, '0')}`),
  asJson('-12345678901234567890::numeric(20,0)', '-12345678901234567890'),
  asJson('123456::numeric(3,-3)', '123000'),
  asJson('0.00012::numeric(2,5)', '0.00012'),
  asJson(
    `'123456789012345678901234567890123456789012345678901234567890.10'::numeric`,
    '123456789012345678901234567890123456789012345678901234567890.10',
  ),
  asJson('1e-20::numeric', '0.00000000000000000001'),
  asJson(`'NaN'::numeric`, '"NaN"'),
  asText(`'NaN'::numeric`, '"NaN"'),
  asText(`'-Infinity'::numeric`, '"-Infinity"'),
  asText(`'12.50'::numeric`, '"12.50"'),
  asJson(`ARRAY['NaN', 'Infinity', 1.50]::numeric[]`, '["NaN","Infinity",1.50]'),
  asText(`ARRAY['NaN']::numeric[]`, '"NaN"'),
  asJson('0.1::real', '0.1'),
  asJson('(0.1::float8 + 0.2::float8)', '0.30000000000000004'),
  asJson('5e-324::float8', '5e-324'),
  asJson('1e21::float8', '1e+21'),
  asText(`'NaN'::float8`, '"NaN"'),
  asText(`'Infinity'::float8`, '"Infinity"'),
  asText(`'-Infinity'::real`, '"-Infinity"'),
  asJson('true', 'true'),
  asJson(
    String.raw`E'a "quoted", \\ \n\r\t😀 \x01\x1f'::text`,
    String.raw`"a \"quoted\", \\ \n\r\t😀 \u0001\u001f"`,
  ),
  asJson(`''::text`, '""'),
  asJson('NULL::text', 'null'),
  asJson(String.raw`'\N'::text`, String.raw`"\\N"`),
  asJson(`'  a  '::char(7)`, '"  a    "'),
  asJson(String.raw`'\x00ff0a'::bytea`, '"AP8K"'),
  asJson(`'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid`, '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'),
  asJson(`'2024-02-29'::date`, '"2024-02-29"'),
  asJson(`'0044-03-15 BC'::date`, '"-000043-03-15"'),
  asJson(`'10000-01-01'::date`, '"+010000-01-01"'),
  asJson(`'infinity'::date`, '"infinity"'),
  asJson(`'24:00'::time`, '"24:00:00"'),
  asJson(`'12:34:56.000001'::time`, '"12:34:56.000001"'),
  asJson(`'12:34+02'::timetz`, '"12:34:00+02"'),
  asJson(`'2024-02-29 12:34:56.000001'::timestamp`, '"2024-02-29T12:34:56.000001"'),
  asJson(`'0044-03-15 12:00:00.5 BC'::timestamp`, '"-000043-03-15T12:00:00.5"'),
  asJson(`'-infinity'::timestamp`, '"-infinity"'),
  asJson(`'2024-02-29 12:34:56.000001+05:30'::timestamptz`, '"2024-02-29T07:04:56.000001Z"'),
  asJson(`'294246-12-31 23:59:59.999999+00'::timestamptz`, '"+294246-12-31T23:59:59.999999Z"'),
  asJson(`'infinity'::timestamptz`, '"infinity"'),
  asJson(`'9999-12-31 23:59:59.999999+00'::timestamptz`, '"9999-12-31T23:59:59.999999Z"'),
  asJson(`'1 year 2 months -3 days 04:05:06.5'::interval`, '"P1Y2M-3DT4H5M6.5S"'),
  asJson(`'-1 year +3 days -00:00:00.000001'::interval`, '"P-1Y3DT-0.000001S"'),
  asJson(`'very happy'::mood`, '"very happy"'),
  asJson('5::positive', '5'),
  asJson(
    `'{"a": [1.0,  "x"], "big": 12345678901234567890}'::json`,
    '{"a": [1.0,  "x"], "big": 12345678901234567890}',
  ),
  asJson(`'{"b": 1.10, "a": null}'::jsonb`, '{"a": null, "b": 1.10}'),
  asJson(`'null'::jsonb`, 'null'),
  // Half a character becomes U+FFFD. What only looks like one stays.
  asJson(
    String.raw`'{"\ud83d": "\ud83d\ude00 \uD83D\uD83d\uDE00", "\\ud83d\\\ude00": "\udfffx"}'::json`,
    String.raw`{"\ufffd": "\ud83d\ude00 \ufffd\uD83d\uDE00", "\\ud83d\\\ufffd": "\ufffdx"}`,
  ),
  asJson(String.raw`ARRAY['"\udc00"', '"\\udc00"']::json[]`, String.raw`["\ufffd","\\udc00"]`),
  asJson('ARRAY[9223372036854775807, NULL]', '[9223372036854775807,null]'),
  asJson(String.raw`ARRAY['a"b,c', E'\\\n', '', NULL]`, String.raw`["a\"b,c","\\\n","",null]`),
  asJson(`'{}'::int[]`, '[]'),
  asJson('ARRAY[1.50, 2]::numeric(9,2)[]', '[1.50,2.00]'),
  asJson('ARRAY[-1.50, 2]::numeric(19,2)[]', '[-1.50,2.00]'),
  asJson('ARRAY[1.5, 2]', '[1.5,2]'),
  asJson(`ARRAY['2024-02-29 12:00+01'::timestamptz]`, '["2024-02-29T11:00:00Z"]'),
  asJson(String.raw`ARRAY['\x00ff'::bytea]`, '["AP8="]'),
  asJson(`ARRAY['sad', 'very happy']::mood[]`, '["sad","very happy"]'),
  asJson(`ARRAY['{"a": 1.0}'::jsonb]`, '[{"a": 1.0}]'),
  asJson(`ROW(9223372036854775807, 'a"b')::pair`, '{"x":9223372036854775807,"y":"a\\"b"}'),
  asJson(`ARRAY[ROW(1, 'a')::pair]`, '[{"x":1,"y":"a"}]'),
  asJson('to_json(ARRAY[[1,2],[3,4]])', '[[1,2],[3,4]]'),
  asJson('int4range(1, 5)', '"[1,5)"'),
  asJson(`'192.168.0.0/16'::cidr`, '"192.168.0.0/16"'),
  asJson(`B'101'`, '"101"'),
]

/** The type of a column of a table, and the value that is inserted into it. */
const MARIADB: readonly (Typed & { readonly type: string })[] = [
  { type: 'TINYINT', ...asJson('-128', '-128') },
  { type: 'BOOLEAN', ...asJson('TRUE', '1') },
  { type: 'SMALLINT UNSIGNED', ...asJson('65535', '65535') },
  { type: 'MEDIUMINT', ...asJson('-8388608', '-8388608') },
  { type: 'INT', ...asJson('2147483647', '2147483647') },
  { type: 'INT UNSIGNED', ...asJson('4294967295', '4294967295') },
  { type: 'INT(8) ZEROFILL', ...asJson('42', '42') },
  { type: 'BIGINT', ...asJson('9223372036854775807', '9223372036854775807') },
  { type: 'BIGINT', ...asJson('-9223372036854775808', '-9223372036854775808') },
  { type: 'BIGINT UNSIGNED', ...asJson('18446744073709551615', '18446744073709551615') },
  { type: 'DECIMAL(9,2)', ...asJson('-1.5', '-1.50') },
  {
    type: 'DECIMAL(38,3)',
    ...asJson(`'99999999999999999999999999999999999.999'`, '99999999999999999999999999999999999.999'),
  },
  {
    type: 'DECIMAL(38,0) UNSIGNED',
    ...asJson('12345678901234567890123456789012345678', '12345678901234567890123456789012345678'),
  },
  {
    type: 'DECIMAL(65,10)',
    ...asJson(
      `'1234567890123456789012345678901234567890123456789012345.0123456789'`,
      '1234567890123456789012345678901234567890123456789012345.0123456789',
    ),
  },
  { type: 'DECIMAL(30,2) ZEROFILL', ...asJson('5.25', '5.25') },
  { type: 'DECIMAL(40,2) ZEROFILL', ...asJson('5.25', '5.25') },
  { type: 'DECIMAL(40,2) ZEROFILL', ...asJson('0', '0.00') },
  { type: 'FLOAT', ...asJson('0.1', '0.1') },
  { type: 'FLOAT', ...asJson('16777217.0', '16777216') },
  { type: 'FLOAT', ...asJson('1234567.9', '1234567.9') },
  { type: 'DOUBLE', ...asJson('0.1e0 + 0.2e0', '0.30000000000000004') },
  { type: 'DOUBLE', ...asJson('1e21', '1e+21') },
  { type: 'DOUBLE', ...asJson('2.2250738585072014e-308', '2.2250738585072014e-308') },
  { type: 'BIT(10)', ...asJson(`b'101'`, '"0000000101"') },
  { type: 'BIT(1)', ...asJson(`b'1'`, '"1"') },
  { type: 'YEAR', ...asJson('2024', '2024') },
  { type: 'YEAR', ...asJson('0', '0') },
  { type: 'YEAR', ...asJson(`'0000'`, '0') },
  { type: 'DATE', ...asJson(`'2024-02-29'`, '"2024-02-29"') },
  { type: 'DATE', ...asJson(`'0000-00-00'`, '"0000-00-00"') },
  { type: 'DATE', ...asJson(`'2024-02-00'`, '"2024-02-00"') },
  { type: 'TIME', ...asJson(`'-838:59:59'`, '"-838:59:59"') },
  { type: 'TIME(6)', ...asJson(`'12:34:56.000001'`, '"12:34:56.000001"') },
  { type: 'TIME(6)', ...asJson(`'12:34:56.5'`, '"12:34:56.5"') },
  { type: 'DATETIME', ...asJson(`'2024-02-29 12:34:50'`, '"2024-02-29T12:34:50"') },
  { type: 'DATETIME(6)', ...asJson(`'9999-12-31 23:59:59.999999'`, '"9999-12-31T23:59:59.999999"') },
  { type: 'DATETIME(6)', ...asJson(`'0000-00-00'`, '"0000-00-00T00:00:00"') },
  // The session of the test is 5:30 hours ahead of UTC.
  { type: 'TIMESTAMP(3) NULL', ...asJson(`'2024-02-29 12:34:56.120'`, '"2024-02-29T07:04:56.12Z"') },
  {
    type: 'TEXT CHARACTER SET utf8mb4',
    ...asJson(
      String.raw`'a "quoted", \\ \n\r\t\0😀 ''x'''`,
      String.raw`"a \"quoted\", \\ \n\r\t\u0000😀 'x'"`,
    ),
  },
  { type: 'VARCHAR(10)', ...asJson(`''`, '""') },
  { type: 'VARCHAR(10)', ...asJson('NULL', 'null') },
  { type: 'VARCHAR(10) CHARACTER SET latin1', ...asJson(`'é'`, '"é"') },
  { type: 'CHAR(5)', ...asJson(`'a'`, '"a"') },
  { type: 'BINARY(3)', ...asJson(`x'00ff'`, '"AP8A"') },
  { type: 'BLOB', ...asJson(`x'00ff0a5c09'`, '"AP8KXAk="') },
  { type: `ENUM('sad','very happy')`, ...asJson(`'very happy'`, '"very happy"') },
  { type: `SET('a','b')`, ...asJson(`'a,b'`, '"a,b"') },
  {
    type: 'JSON',
    ...asJson(
      `'{"a": [1.0,  "x"], "big": 12345678901234567890}'`,
      '{"a": [1.0,  "x"], "big": 12345678901234567890}',
    ),
  },
  {
    type: 'UUID',
    ...asJson(`'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'`, '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'),
  },
  { type: 'INET6', ...asJson(`'::1'`, '"::1"') },
]

function yaml(source: string, from: string, typed: readonly Typed[]): string {
  const fields = typed.map(({ printed }, index) => {
    const name = `c${index}`
    return `"${name}":${printed === undefined ? `{{ row.${name} | json }}` : printed(name)}`
  })
  return `
kind: source
name: db
${source}
---
kind: model
name: values
source: db
sql: |
  ${from}
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
---
kind: sync
name: types
model: values
destination: api
partitions: 1
triggers:
  added:
    method: POST
    path: /rows
    body:
      json: |
        {${fields.join(',\n        ')}}
`
}

describe('a type', () => {
  let api: ScriptedApi
  beforeAll(async () => {
    api = await startScriptedApi()
  })
  afterAll(() => api[Symbol.asyncDispose]())

  /** The fields of the body that one run sends, as they stand in it. */
  async function sent(project: ProjectFolder): Promise<readonly string[]> {
    api.reset()
    const { view } = await project.run('types')
    expect(view).toMatchObject({ status: 'success', error: null })
    return (api.requests[0]?.body ?? '')
      .trim()
      .replace(/^\{|\}$/g, '')
      .split(/,\n(?="c\d+":)/)
  }

  const postgresUrl = inject('postgresUrl')
  it.skipIf(postgresUrl === null)('of PostgreSQL arrives unchanged', async () => {
    const schema = `types_${randomUUID().slice(0, 8)}`
    const admin = new pg.Client({ connectionString: postgresUrl ?? '' })
    await admin.connect()
    await admin.query(`CREATE SCHEMA ${schema}; SET search_path = ${schema};
      CREATE TYPE mood AS ENUM ('sad', 'very happy'); CREATE DOMAIN positive AS int CHECK (value > 0);
      CREATE TYPE pair AS (x bigint, y text)`)
    const typed = POSTGRES.map(column => ({
      ...column,
      sql: column.sql.replace(/::(mood|positive|pair)\b/, `::${schema}.$1`),
    }))
    const columns = typed.map(({ sql }, index) => `${sql} AS c${index}`)
    const from = `SELECT 1 AS id,\n  ${columns.join(',\n  ')}`
    await using project = await projectFolder({
      files: { 'project.yaml': yaml('type: postgres\nurl: ${DATABASE}', from, typed) },
      env: { API_URL: api.url, DATABASE: postgresUrl ?? '' },
    })
    expect(await sent(project)).toEqual(typed.map(({ json }, index) => `"c${index}":${json}`))
    await admin.query(`DROP SCHEMA ${schema} CASCADE`)
    await admin.end()
  })

  it.skipIf(postgresUrl === null)('of PostgreSQL that cannot be carried makes one row invalid', async () => {
    const table = `misfits_${randomUUID().slice(0, 8)}`
    const admin = new pg.Client({ connectionString: postgresUrl ?? '' })
    await admin.connect()
    const typed = [asJson('at', ''), asJson('n', ''), asJson('days', '')]
    const columns = typed.map(({ sql }, index) => `${sql} AS c${index}`).join(', ')
    const yamlText = yaml('type: postgres\nurl: ${DATABASE}', `SELECT id, ${columns} FROM ${table}`, typed)
    const removed = "  removed:\n    method: DELETE\n    path: '/rows/{{ id }}'\n"
    await using project = await projectFolder({
      files: { 'project.yaml': `${yamlText}${removed}` },
      env: { API_URL: api.url, DATABASE: postgresUrl ?? '' },
      here: true,
    })
    await admin.query(`CREATE TABLE ${table} (id int, at timestamptz, n numeric(9,2), days date[]);
      INSERT INTO ${table} SELECT i, '2024-01-01', i, ARRAY['2024-01-01'::date] FROM generate_series(1, 4) AS r(i)`)
    try {
      api.reset()
      expect((await project.run('types')).view).toMatchObject({ status: 'success', rowsInvalid: 0 })
      expect(api.requests).toHaveLength(4)
      await admin.query(`UPDATE ${table} SET at = '294276-12-31 23:59:59+00' WHERE id = 1;
        UPDATE ${table} SET n = 'NaN' WHERE id = 2; INSERT INTO ${table} VALUES (5, '294276-01-01', 5, NULL), (6, now(), 6, NULL)`)
      for (const sent of [5, 5]) {
        const { exitCode, view } = await project.run('types')
        expect(view).toMatchObject({ status: 'warning', rowsInvalid: 3, error: null })
        expect(exitCode).not.toBe(1)
        expect(JSON.stringify(view)).toContain('column')
        // The rows are neither sent nor taken for removed, and the others go on.
        expect(api.requests).toHaveLength(sent)
      }
      await admin.query(
        `UPDATE ${table} SET at = '2024-01-01' WHERE id IN (1, 5); UPDATE ${table} SET n = 2 WHERE id = 2`,
      )
      expect((await project.run('types')).view).toMatchObject({ status: 'success', rowsInvalid: 0 })
      expect(api.requests.slice(5).map(({ method }) => method)).toEqual(['POST'])
    } finally {
      await admin.query(`DROP TABLE ${table}`)
      await admin.end()
    }
  })

  const mariadbUrl = inject('mariadbUrl')
  it.skipIf(mariadbUrl === null)('of MariaDB arrives unchanged', async () => {
    const table = `types_${randomUUID().slice(0, 8)}`
    const login = new URL(mariadbUrl ?? '')
    const admin = await mysql.createConnection({ uri: login.href, charset: 'utf8mb4' })
    await admin.query(`SET sql_mode = '', time_zone = '+05:30'`)
    const columns = MARIADB.map(({ type }, index) => `c${index} ${type}`)
    // A name with a special meaning in JavaScript is a name like any other.
    const typed: Typed[] = [...MARIADB, { sql: '7', json: '7', printed: () => '{{ row.__proto__ | json }}' }]
    await admin.query(`CREATE TABLE ${table} (id INT, ${columns.join(', ')})`)
    await admin.query(`INSERT INTO ${table} VALUES (1, ${MARIADB.map(({ sql }) => sql).join(', ')})`)
    const { password } = login
    login.password = ''
    const source = 'type: mysql\nurl: ${DATABASE}\npassword: ${secret:db-password}'
    await using project = await projectFolder({
      files: { 'project.yaml': yaml(source, `SELECT *, 7 AS \`__proto__\` FROM ${table}`, typed) },
      env: { API_URL: api.url, DATABASE: login.href, SLUICE_SECRET_DB_PASSWORD: password },
    })
    expect(await sent(project)).toEqual(typed.map(({ json }, index) => `"c${index}":${json}`))
    await admin.query(`DROP TABLE ${table}`)
    await admin.end()
  })
})
