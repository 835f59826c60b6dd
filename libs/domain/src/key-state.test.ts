import { describe, expect, it } from 'vitest'
import type { KeyStateKind, Op, Outcome } from '@sluice/contracts/state'
import { decide, transition } from './key-state.ts'

const STATES: readonly KeyStateKind[] = ['absent', 'present', 'content-uncertain', 'existence-uncertain']
const OUTCOMES: readonly Outcome[] = ['delivered', 'rejected', 'unknown', 'unsent', 'exists', 'missing']

describe('decide', () => {
  it.each<[KeyStateKind, boolean, boolean, Op | null]>([
    ['absent', true, true, 'added'],
    ['absent', true, false, 'added'],
    ['absent', false, false, null],
    ['present', true, false, null],
    ['present', true, true, 'changed'],
    ['present', false, true, 'removed'],
    ['content-uncertain', true, false, 'changed'],
    ['content-uncertain', true, true, 'changed'],
    ['content-uncertain', false, false, 'removed'],
    ['existence-uncertain', true, false, 'added'],
    ['existence-uncertain', true, true, 'added'],
    ['existence-uncertain', false, false, 'removed'],
  ])('of %s, row there: %s, differs: %s, makes %s', (state, hasRow, differs, op) => {
    expect(decide(state, hasRow, differs)).toBe(op)
  })
})

describe('transition', () => {
  it.each<[Op, Outcome, KeyStateKind, 'before' | 'after' | null]>([
    ['added', 'delivered', 'present', 'after'],
    ['added', 'unknown', 'existence-uncertain', 'after'],
    ['added', 'exists', 'content-uncertain', 'after'],
    ['changed', 'delivered', 'present', 'after'],
    ['changed', 'unknown', 'content-uncertain', 'after'],
    ['changed', 'missing', 'absent', null],
    ['removed', 'delivered', 'absent', null],
    ['removed', 'unknown', 'existence-uncertain', 'before'],
    ['removed', 'missing', 'absent', null],
  ])('of %s that is %s makes %s', (op, outcome, state, row) => {
    expect(transition('present', op, outcome)).toEqual({ state, row })
  })

  it.each(['rejected', 'unsent'] as const)('leaves everything as before when %s', outcome => {
    for (const state of STATES)
      for (const op of ['added', 'changed', 'removed'] as const)
        expect(transition(state, op, outcome)).toEqual({
          state,
          row: state === 'absent' ? null : 'before',
        })
  })

  it('never has a row without a state, nor a state without a row', () => {
    for (const state of STATES)
      for (const op of ['added', 'changed', 'removed'] as const)
        for (const outcome of OUTCOMES) {
          const next = transition(state, op, outcome)
          expect(next.row === null).toBe(next.state === 'absent')
        }
  })
})

describe('the two tables together', () => {
  it('bring an API that upserts to the model in one run once failures stop', () => {
    for (const state of STATES)
      for (const hasRow of [true, false]) {
        const op = decide(state, hasRow, true)
        const next = op === null ? state : transition(state, op, 'delivered').state
        expect(next).toBe(hasRow ? 'present' : 'absent')
      }
  })
})
