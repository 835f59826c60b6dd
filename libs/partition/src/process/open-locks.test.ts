import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { locksReadiness } from './open-locks.ts'

it('a process tells what is wrong with its locks, as it was last seen, and that all is well', () => {
  const trouble = new SluiceError('unreachable', 'Redis does not answer', { retryable: true })
  expect(locksReadiness({ trouble })).toEqual({ ok: false, detail: 'Redis does not answer' })
  expect(locksReadiness({ trouble: null })).toEqual({ ok: true })
})
