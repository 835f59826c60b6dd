import { expect, it } from 'vitest'
import { runAnswers } from './run-answers.ts'

const of = { run: 'R', sync: 's', most: 10 }

it('counts attempts by status, and those that failed by reason, whatever number a message has', () => {
  const rejected = { outcome: 'rejected', status: 422 } as const
  const counts = [
    { outcome: 'delivered', status: 200, error: null, count: 3 },
    { ...rejected, error: 'row 1 is wrong', count: 1 },
    { ...rejected, error: 'row 27 is wrong', count: 2 },
    { outcome: 'unknown', status: null, error: 'no answer', count: 4 },
  ] as const
  expect(runAnswers(of, counts)).toEqual({
    ...{ run: 'R', sync: 's', isWhole: true },
    statuses: [
      { status: null, attempts: 4 },
      { status: 200, attempts: 3 },
      { status: 422, attempts: 3 },
    ],
    errors: [
      { outcome: 'unknown', status: null, error: 'no answer', attempts: 4 },
      { ...rejected, error: 'row 1 is wrong', attempts: 3 },
    ],
  })
  expect(runAnswers({ ...of, most: 9 }, counts).isWhole).toBe(false)
})
