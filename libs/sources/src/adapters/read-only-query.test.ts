import { describe, expect, it } from 'vitest'
import { modelOf } from '../contract.ts'
import { sqlOf } from './read-only-query.ts'

const ofTable = (table: string, quote?: (name: string) => string) => {
  const { sql: _, ...model } = modelOf('')
  return sqlOf({ ...model, table }, quote)
}

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
    expect(ofTable('"a.b".c', name => `[${name}]`)).toBe('SELECT * FROM [a.b].[c]')
  })

  it.each(['a..b', '.a', 'a.', 'a. .b', 'a.b.c.d'])('refuses %s', table => {
    expect(() => ofTable(table)).toThrow(`table "${table}" is no name like schema.name`)
  })
})
