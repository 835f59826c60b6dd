import { DuckDBInstance } from '@duckdb/node-api'
import { expect, it } from 'vitest'
import { sumSql } from '../diff/model-rows.ts'

it.each([0, 1, 2, 3, 1_000, 5_000])('DuckDB adds up %i terms', async count => {
  const terms = Array.from({ length: count }, (_, index) => String(index))
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const reader = await connection.runAndReadAll(`SELECT CAST(${sumSql(terms)} AS DOUBLE)`)
  expect(reader.getRows()[0]?.[0]).toBe((count * (count - 1)) / 2 || 0)
  connection.closeSync()
  instance.closeSync()
})
