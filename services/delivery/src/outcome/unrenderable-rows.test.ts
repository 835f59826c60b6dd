import { describe, expect, it } from 'vitest'
import type { Unrenderable } from '@sluice/contracts/records'
import { INCARNATION, sampleDefinition, sampleRetried, sampleRow } from '@sluice/testkit/sample-records'
import { resolveTarget } from '../destination/target.ts'
import { unrenderableEnd } from './effects.ts'

const triggers = { added: { method: 'POST', path: '/rows', capture: { id: '$.id' } } }
const target = resolveTarget(sampleDefinition({ sync: { triggers } }), () => '')

function unrenderable(fields: Partial<Unrenderable>): Unrenderable {
  const place = {
    incarnation: INCARNATION,
    owner: 0,
    run: 1,
    begin: 0,
    seq: 0,
    changesStart: 0,
    changesEnd: 1,
  }
  return { ...place, trigger: 'removed', error: 'no id', lacks: null, rows: [sampleRow()], ...fields }
}

const endOf = (record: Unrenderable) => unrenderableEnd(5, record, { runId: 'r', target, recorded: null })
const isForgotten = (record: Unrenderable): boolean =>
  endOf(record).effects.retry.every(({ entry }) => entry === null)

describe('a row that could not be rendered', () => {
  it('is forgotten if it is a removal that lacks a value which a trigger captures', () => {
    expect(isForgotten(unrenderable({ lacks: 'id' }))).toBe(true)
    expect(isForgotten(unrenderable({ lacks: 'id', trigger: 'changed' }))).toBe(false)
    expect(isForgotten(unrenderable({ lacks: 'id', trigger: 'added' }))).toBe(false)
    expect(isForgotten(unrenderable({ lacks: null }))).toBe(false)
  })

  it('is not forgotten for the sake of a name that no trigger captures', () => {
    expect(isForgotten(unrenderable({ lacks: 'idd' }))).toBe(false)
    expect(isForgotten(unrenderable({ lacks: 'toString' }))).toBe(false)
  })

  it('is not forgotten while an answer with its value may be under way', () => {
    const forgets = (row: Parameters<typeof sampleRow>[0]): boolean =>
      isForgotten(unrenderable({ lacks: 'id', rows: [sampleRow({ op: 'removed', ...row })] }))
    expect(forgets({ uncertain: true })).toBe(false)
    expect(forgets({ uncertain: true, retried: sampleRetried({ outcome: 'unknown' }) })).toBe(false)
    // Its last change was rejected, be that a removal or not. So delivery had finished all before that.
    expect(forgets({ uncertain: true, retried: sampleRetried({ outcome: 'rejected' }) })).toBe(true)
  })

  it('has attempt 0, which says that it is taken as gone where it is forgotten', () => {
    const attempt = (lacks: string | null) => endOf(unrenderable({ lacks })).attempt
    expect(attempt(null)).toMatchObject({ attempt: 0, outcome: 'rejected', final: true, error: 'no id' })
    expect(attempt('id')).toMatchObject({ outcome: 'rejected', error: 'no id; the row is taken as gone' })
  })
})
