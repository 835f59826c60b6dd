import type { FailedRow } from '@sluice/contracts/api'
import { describe, expect, it } from 'vitest'
import { csvCell, failedExport } from './failed-export.ts'

const failed = (key: string, row: FailedRow['row']): FailedRow => ({
  ...{ key, op: 'added', outcome: 'rejected', status: 422, error: 'no "e-mail"', attempts: 2, runs: 1 },
  ...{ since: '2026-01-01T00:00:00.000Z', row },
})
const PAGES = [
  { rows: [failed('1', { id: 1, name: 'Ann' }), failed('2', null)], isFirst: true, isLast: false },
  { rows: [failed('3', { id: 3, age: 40 })], isFirst: false, isLast: true },
]

describe('failed rows as a file', () => {
  it('are CSV with their columns, and keep columns that come up later', () => {
    const part = failedExport('csv')
    const rest = ',added,rejected,422,"no ""e-mail""",2,1,2026-01-01T00:00:00.000Z,'
    expect(PAGES.map(part).join('')).toBe(
      [
        'key,op,outcome,status,error,attempts,runs,since,row.id,row.name,other columns',
        `1${rest}1,Ann,`,
        `2${rest},,`,
        `3${rest}3,,"{""age"":40}"`,
        '',
      ].join('\r\n'),
    )
  })

  it('are one JSON list, also if there are none', () => {
    expect(JSON.parse(PAGES.map(failedExport('json')).join(''))).toEqual(PAGES.flatMap(({ rows }) => rows))
    expect(JSON.parse(failedExport('json')({ rows: [], isFirst: true, isLast: true }))).toEqual([])
  })
})

describe('a cell of CSV', () => {
  it.each([
    ['=HYPERLINK("http://evil.test")', `"'=HYPERLINK(""http://evil.test"")"`],
    ['+1+cmd|calc', "'+1+cmd|calc"],
    ['-2+3', "'-2+3"],
    ['@SUM(1)', "'@SUM(1)"],
    [' =1+1', "' =1+1"],
    ['\t=1', `"'\t=1"`],
    ['\uff1d1+1', "'\uff1d1+1"],
  ])('with %j is no formula', (value, cell) => {
    expect(csvCell(value)).toBe(cell)
  })

  it('with a number stays a number', () => {
    expect([-5, '-5.25', 0, true, null].map(csvCell)).toEqual(['-5', '-5.25', '0', 'true', ''])
  })
})
