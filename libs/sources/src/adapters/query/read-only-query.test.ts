import { describe, expect, it } from 'vitest'
import { processorMs } from '@sluice/testkit/processor-ms'
import { modelOf } from '../../../test/contract.ts'
import { assertBeginsAsQuery, assertOneStatement, sqlOf } from './read-only-query.ts'
import type { SqlDialect } from './sql-dialect.ts'
import type { SqlSyntax } from './sql-tokens.ts'

const dialectOf = (syntax: SqlSyntax): SqlDialect => ({
  syntax,
  quote: name => `[${name}]`,
  firstWords: ['select'],
})

const ofTable = (table: string, dialect?: SqlDialect) => {
  const { sql: _, ...model } = modelOf('')
  return sqlOf({ ...model, table }, dialect)
}

/** A text that is read once takes a few. One that is read again and again takes seconds. */
const MAX_MS = 500

describe('the SQL of a table', () => {
  it.each([
    ['shop.orders', '"shop"."orders"'],
    ['orders', '"orders"'],
    ['my crm.my table', '"my crm"."my table"'],
    ['"a.b".c', '"a.b"."c"'],
    ['we"ird', '"we""ird"'],
    ['"we""ird"', '"we""ird"'],
    ['x; drop table y', '"x; drop table y"'],
  ])('quotes %s', (table, quoted) => {
    expect(ofTable(table)).toBe(`SELECT * FROM ${quoted}`)
  })

  it('quotes names as the database does', () => {
    expect(ofTable('"a.b".c', dialectOf('mysql'))).toBe('SELECT * FROM [a.b].[c]')
  })

  it.each(['a..b', '.a', 'a.', 'a. .b', 'a.b.c.d'])('refuses %s', table => {
    expect(() => ofTable(table)).toThrow(
      `The table "${table}" of model customers is not a name like schema.name`,
    )
  })
})

/** SQL behind which a semicolon may be cut off. */
const QUERIES: readonly (readonly [SqlSyntax, string])[] = [
  ['standard', "SELECT ';' AS a, 'it''s;' AS b"],
  ['standard', String.raw`SELECT E'it\'s;' AS a, '\' AS b`],
  ['standard', 'SELECT 1 AS "a;""b"'],
  ['standard', 'SELECT $$a;b$$, $t1$c;$$d$t1$'],
  ['standard', 'SELECT 1 -- a;b'],
  ['standard', 'SELECT 1 /* ; /* ; */ ; */'],
  ['standard', '/* a /* b */ c */ SELECT 5--3'],
  ['mysql', String.raw`SELECT 'it\'s;' AS a, "it\"s;" AS b, '\\' AS c`],
  ['mysql', 'SELECT 1 AS `a;``b`'],
  ['mysql', "SELECT 1 # it's;"],
  ['mysql', 'SELECT 5--3'],
  ['mysql', "SELECT 1 --\tit's;"],
  ['mysql', 'SELECT 1 /* ; /* ; */'],
  ['mysql', '# all of them\nSELECT 1'],
]

describe('a query', () => {
  it.each(QUERIES)('of %s SQL loses its semicolon, and what comes after it: %s', (syntax, sql) => {
    const dialect = dialectOf(syntax)
    const comment = syntax === 'mysql' ? "# it's all" : "/* it's /* all */ */"
    for (const end of ['', '\n;', '\n ; ;\n', `\n; ${comment}\n-- it's`]) {
      const cut = sqlOf(modelOf(sql + end), dialect)
      expect(cut.trimEnd()).toBe(sql)
      assertBeginsAsQuery(modelOf(sql), cut, dialect)
      assertOneStatement(modelOf(sql), cut, dialect)
    }
  })

  it.each(QUERIES)('of %s SQL is not one where another comes behind it: %s', (syntax, sql) => {
    const several = `${sql}\n; SELECT 2`
    expect(sqlOf(modelOf(several), dialectOf(syntax))).toBe(several)
    expect(() => assertOneStatement(modelOf(several), several, dialectOf(syntax))).toThrow(
      'several statements',
    )
  })

  it.each(['standard', 'mysql'] as const)(
    'of %s SQL is read once, however many comments never end',
    async syntax => {
      const sql = `SELECT 1 ${'/*'.repeat(16_000)}`
      const took = await processorMs(() => expect(sqlOf(modelOf(sql), dialectOf(syntax))).toBe(sql))
      expect(took).toBeLessThan(MAX_MS)
    },
  )
})
