/** The judge of the shapes, for a verdict is worth no more than the judge. */
import { describe, expect, it } from 'vitest'
import { reasonsOf } from '../shapes/reasons.ts'
import { RowJudge } from '../shapes/row-judge.ts'
import { rowJson, type Pass } from '../shapes/shape.ts'
import { findShape, SHAPES } from '../shapes/shapes.ts'

const shape = findShape('every-row-changes', 0.00001)
const passAt = (index: number): Pass => {
  const pass = shape.passes[index]
  if (pass === undefined) throw new Error(`the shape has no pass ${index}`)
  return pass
}
const adding = passAt(0)

function body(ns: readonly number[], pass: Pass = adding, op: 'added' | 'changed' = 'added'): Buffer {
  return Buffer.from(`[${ns.map(n => rowJson(shape, op, n, pass)).join(',')}]`)
}

describe('the judge of a shape', () => {
  it('is content with each row once, in any requests and any order', () => {
    const judge = new RowJudge(shape, adding)
    expect(shape.rows).toBe(3)
    judge.take('added', body([3, 1]))
    judge.take('added', body([2]))
    expect(judge.judge()).toMatchObject({ rows: 3, requests: 2, wrong: 0, missing: 0, repeated: 0 })
  })

  it('notices a row that is missing, one that comes twice, and one of another trigger', () => {
    const judge = new RowJudge(shape, adding)
    judge.take('added', body([1, 1]))
    judge.take('changed', body([2], adding, 'changed'))
    expect(judge.judge()).toMatchObject({ wrong: 0, missing: 2, repeated: 2 })
  })

  it.each([
    ['a byte', (text: string) => text.replace('v-2', 'v-3')],
    ['a space', (text: string) => text.replace(',', ', ')],
    ['a column', (text: string) => text.replace('{"n":1,', '{"n":1,"w":null,')],
    ['the texts of two neighbours', (text: string) => text.replace('v-1', 'v-1v').replace('"v-2', '"-2')],
    ['the revision', (text: string) => text.replaceAll('-1"', '-2"')],
    ['the end', (text: string) => text.slice(0, -1)],
    ['everything', () => '[]'],
  ])('notices that %s is another', (_, edit) => {
    const judge = new RowJudge(shape, adding)
    judge.take('added', Buffer.from(edit(body([1, 2, 3]).toString())))
    expect(judge.judge().wrong).toBe(1)
  })

  it('begins each pass with empty counts, and knows what a run has to do in it', () => {
    const judge = new RowJudge(shape, adding)
    judge.take('added', body([1, 2, 3]))
    const changing = passAt(1)
    judge.begin(changing)
    expect(judge.judge()).toMatchObject({ rows: 0, missing: 3 })
    judge.take('changed', body([1, 2, 3], changing, 'changed'))
    expect(judge.judge()).toMatchObject({ rows: 3, wrong: 0, missing: 0, repeated: 0 })
  })
})

it('a shape that leaves rows undelivered tells why, each reason once', () => {
  const row = { key: '1', op: 'added', outcome: 'unsent', status: null, attempts: 1, runs: 1, since: '' }
  const page = {
    rows: [
      { ...row, error: 'a' },
      { ...row, error: null },
      { ...row, error: 'a' },
    ],
    next: null,
  }
  const ended = { exitCode: 0, stderr: '' }
  expect(reasonsOf({ ...ended, stdout: JSON.stringify(page) })).toEqual([
    '2 rows added, unsent: a',
    '1 rows added, unsent: no reason is given',
  ])
  expect(reasonsOf({ ...ended, stdout: 'gone' })).toEqual(['sluice failed tells nothing: gone'])
})

it('every shape has a name of its own, and a last run that shows whether anything is sent twice', () => {
  expect(new Set(SHAPES.map(({ name }) => name)).size).toBe(SHAPES.length)
  for (const { name, passes, oneProcess } of SHAPES)
    if (oneProcess !== true) expect(passes.at(-1)?.expect, name).toEqual({})
})
