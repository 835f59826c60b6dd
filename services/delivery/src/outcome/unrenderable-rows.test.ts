import { describe, expect, it } from 'vitest'
import type { Unrenderable } from '@sluice/contracts/records'
import { INCARNATION, sampleDefinition, sampleRetried, sampleRow } from '@sluice/testkit/sample-records'
import { resolveTarget } from '../destination/target.ts'
import { isForgotten, unrenderableAttempt } from './effects.ts'

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

describe('a row that could not be rendered', () => {
  it('is forgotten if it is a removal that lacks a value which a trigger captures', () => {
    expect(isForgotten(unrenderable({ lacks: 'id' }), target)).toBe(true)
    expect(isForgotten(unrenderable({ lacks: 'id', trigger: 'changed' }), target)).toBe(false)
    expect(isForgotten(unrenderable({ lacks: 'id', trigger: 'added' }), target)).toBe(false)
    expect(isForgotten(unrenderable({ lacks: null }), target)).toBe(false)
  })

  it('is not forgotten for the sake of a name that no trigger captures', () => {
    expect(isForgotten(unrenderable({ lacks: 'idd' }), target)).toBe(false)
    expect(isForgotten(unrenderable({ lacks: 'toString' }), target)).toBe(false)
  })

  it('is not forgotten while an answer that tells its value may be under way', () => {
    const forgets = (row: Parameters<typeof sampleRow>[0]): boolean =>
      isForgotten(unrenderable({ lacks: 'id', rows: [sampleRow({ op: 'removed', ...row })] }), target)
    expect(forgets({ uncertain: true })).toBe(false)
    expect(forgets({ uncertain: true, retried: sampleRetried({ outcome: 'unknown' }) })).toBe(false)
    // Its last change was rejected, be that a removal or not. So delivery had finished all before that.
    expect(forgets({ uncertain: true, retried: sampleRetried({ outcome: 'rejected' }) })).toBe(true)
  })

  it('has attempt 0, which says that it is taken as gone where it is forgotten', () => {
    const record = unrenderable({ lacks: 'id' })
    const attempt = (forgets: boolean) => unrenderableAttempt(5, record, { runId: 'r', forgets })
    expect(attempt(false)).toMatchObject({ attempt: 0, outcome: 'rejected', final: true, error: 'no id' })
    expect(attempt(true)).toMatchObject({ outcome: 'rejected', error: 'no id; the row is taken as gone' })
  })
})
