/** A server answers that wants to keep this process busy. */
import { processorMs } from '@sluice/testkit/processor-ms'
import type { Connection } from 'mysql2'
import { expect, it } from 'vitest'
import { modelOf } from '../../../test/contract.ts'
import { queryError, excessRights } from '../mysql.ts'

/** A text that is read once takes a few. One that is read again and again takes seconds. */
const MAX_MS = 500
const NAMES = {
  source: 'shop',
  server: 'MySQL at db.example.com:3306',
  secrets: ['hunter22'],
  passwordName: null,
}

function saidOf(message: string): string {
  const error = Object.assign(new Error(message), { errno: 1064, sqlState: '42000' })
  const sql = 'SELECT 1\nFROM frm'
  return queryError(error, NAMES, { model: modelOf(sql), timeoutMs: null, sql }).message
}

/** A server that answers `SHOW GRANTS` with this. */
function serverWith(grant: string): Connection {
  const query = (_options: unknown, done: (error: null, rows: string[][]) => void): void =>
    done(null, [[grant]])
  return { query } as unknown as Connection
}

it('an error has the place that the server shows', () => {
  expect(saidOf("You have an error near 'frm' at line 2")).toMatch(/line 2, column 6/)
})

it('an error has one line, without secrets, and only its beginning if it does not end', () => {
  expect(saidOf('one\n \n two hunter22')).toContain('one two ***')
  expect(saidOf('hunter22 '.repeat(2_000_000)).length).toBeLessThan(11_000)
})

it.each([" near '", ' ', "' at line 1"])('an error of nothing but %j is read once', async piece => {
  const error = `You have an error${piece.repeat(200_000)}.`
  expect(await processorMs(() => saidOf(error))).toBeLessThan(MAX_MS)
})

it('excess rights are those that are not for reading, also to single columns', async () => {
  const granted = (grant: string) => excessRights(serverWith(grant))
  expect(await granted('GRANT SELECT (`a`, `b`), INSERT (`c`), FILE ON *.* TO `r`@`%`')).toEqual([
    'has INSERT, FILE on *.*',
  ])
  expect(await granted('GRANT USAGE ON *.* TO `r`@`%`')).toEqual([])
  expect(await granted('GRANT `role`@`%` TO `r`@`%`')).toEqual([])
})

it.each([
  'GRANT A ON '.repeat(50_000),
  `GRANT ${' ('.repeat(100_000)} ON x TO y`,
  `GRANT ${' '.repeat(100_000)} ON x TO y`,
])('rights of nothing but beginnings are read once', async grant => {
  expect(await processorMs(() => excessRights(serverWith(grant)))).toBeLessThan(MAX_MS)
})
