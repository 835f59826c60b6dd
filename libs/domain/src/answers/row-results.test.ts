import { describe, expect, it } from 'vitest'
import { rowRule } from '@sluice/contracts/specs/answer-specs'
import { sync } from '@sluice/contracts/resources'
import { AnswerBody } from './answer-body.ts'
import { compileRowRules, namingColumns, rowAnswersOf } from './row-results.ts'

/**
 * Tells the results of an answer for three rows, whose column `mail` is `a`, `b` and `a`, and `n` is 1, 2 and
 * 3.
 */
function told(body: unknown, ...rules: readonly object[]): string {
  const compiled = compileRowRules(rules.map(rule => rowRule.parse(rule)))
  const rows = ['a', 'b', 'a'].map((mail, index) => ({ named: JSON.stringify({ mail, n: `${index + 1}` }) }))
  const answers = rowAnswersOf(compiled, new AnswerBody(JSON.stringify(body), null), rows)
  if (answers.kind === 'unclear') return answers.why
  const found = [...answers.rows].toSorted(([a], [b]) => a - b)
  return found.map(([row, { as, error }]) => `${row}:${as}${error === null ? '' : `(${error})`}`).join(' ')
}

describe('what an answer says of rows', () => {
  const byIndex = { items: '$.errors[*]', row: { index: '$.i' }, as: 'rejected', error: '$.why' }

  it('is by index, as number or text', () => {
    expect(told({ errors: [{ i: 2, why: 'x' }, { i: '0' }] }, byIndex)).toBe('0:rejected 2:rejected(x)')
  })

  it.each([[3], [-1], [1.5], ['01x'], [''], [null], [true], [[1]], [1e20]])(
    'is nothing for the index %j',
    i => {
      expect(told({ errors: [{ i }] }, byIndex)).toBe('')
    },
  )

  it('is by position, counted over all items of the list', () => {
    const [bad, good] = [
      { items: '$[*]', json: '$.e[0]', as: 'rejected', error: '$.e' },
      { items: '$[*]', as: 'delivered' },
    ]
    expect(told([{}, { e: ['no'] }, { e: [] }], bad, good)).toBe('0:delivered 1:rejected(["no"]) 2:delivered')
    expect(told([{}, {}, {}, {}], good)).toBe('0:delivered 1:delivered 2:delivered')
    expect(told([{}], good)).toBe('0:delivered')
  })

  it('is of the items that contain a text, written as JSON without white space', () => {
    const gone = { items: '$[*]', body: '"code":"GONE"', as: 'missing' }
    const bad = { items: '$[*]', json: '$.code', as: 'rejected' }
    const body = [{ code: 'GONE' }, {}, { code: 'GONE?', n: 1e2 }]
    expect(told(body, gone, bad)).toBe('0:missing 2:rejected')
    expect(told(body, { ...gone, body: '"n":100' })).toBe('2:missing')
    expect(told(body, { ...gone, json: '$.n' })).toBe('')
  })

  it('is by the texts of columns: of all rows that have them', () => {
    const byMail = { items: '$[*]', row: { mail: '$.m' }, as: 'exists' }
    expect(told([{ m: 'a' }], byMail)).toBe('0:exists 2:exists')
    expect(told([{ m: 'A' }, { m: ['a'] }, { m: null }, 7], byMail)).toBe('')
    expect(told([{ m: 'a', n: 3 }], { ...byMail, row: { mail: '$.m', n: '$.n' } })).toBe('2:exists')
    expect(told([{ m: 'a', n: 2 }], { ...byMail, row: { mail: '$.m', n: '$.n' } })).toBe('')
    expect(told([{ m: 'a' }], { ...byMail, row: { other: '$.m' } })).toBe('')
  })

  it('is what the first rule says that names the row', () => {
    const first = { items: '$.ok[*]', row: { index: '$' }, as: 'delivered' }
    const body = {
      ok: [1],
      errors: [{ i: 1 }, { i: 1, why: 'again' }, { i: 2, why: 'a' }, { i: 2, why: 'b' }],
    }
    expect(told(body, first, byIndex)).toBe('1:delivered 2:rejected(a)')
    expect(told(body, byIndex, first)).toBe('1:rejected 2:rejected(a)')
  })

  it('is nothing where the body is no JSON, and cannot be told where it is cut', () => {
    const rules = compileRowRules([rowRule.parse(byIndex)])
    const rows = [{ named: null }]
    expect(rowAnswersOf(rules, new AnswerBody('<p>', null), rows)).toMatchObject({ kind: 'known', odd: null })
    expect(rowAnswersOf(rules, new AnswerBody('{', 'cut'), rows)).toEqual({ kind: 'unclear', why: 'cut' })
    expect(rowAnswersOf([], new AnswerBody('{', 'cut'), rows)).toMatchObject({ kind: 'known' })
  })

  it('keeps the digits of numbers', () => {
    const rules = compileRowRules([rowRule.parse({ items: '$[*]', row: { id: '$' }, as: 'rejected' })])
    const rows = ['12345678901234567890', '1.50'].map(id => ({ named: JSON.stringify({ id }) }))
    const answers = rowAnswersOf(rules, new AnswerBody('[12345678901234567890, 1.50]', null), rows)
    expect(answers).toMatchObject({ kind: 'known', odd: null })
    expect(answers.kind === 'known' && [...answers.rows.keys()]).toEqual([0, 1])
  })

  it('tells of an item that names no row', () => {
    const rules = compileRowRules([rowRule.parse(byIndex)])
    const body = new AnswerBody('{"errors":[{"i":0},{"i":9}]}', null)
    expect(rowAnswersOf(rules, body, [{ named: null }])).toMatchObject({
      odd: '$.errors[*]: item 1 names no row of the request',
      strays: new Set(['rejected']),
    })
    const delivered = compileRowRules([rowRule.parse({ ...byIndex, as: 'delivered' })])
    expect(rowAnswersOf(delivered, body, [{ named: null }])).toMatchObject({ strays: new Set(['delivered']) })
  })
})

describe('the columns by which answers name rows', () => {
  it('are those of all rules, each once', () => {
    const row = (of: object) => ({ items: '$[*]', row: of, as: 'rejected' })
    const errors = {
      rowResults: [
        row({ b: '$.b', a: '$.a' }),
        row({ index: '$' }),
        row({ a: '$.x' }),
        row({ index: '$', c: '$' }),
      ],
    }
    const trigger = { method: 'POST', path: '/' }
    const spec = sync.parse({
      kind: 'sync',
      name: 's',
      model: 'm',
      destination: 'd',
      triggers: { added: trigger },
      errors,
    })
    expect(namingColumns(spec)).toEqual(['a', 'b', 'c', 'index'])
  })
})
