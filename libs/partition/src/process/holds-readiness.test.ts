import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { holdsReadiness } from './holds-readiness.ts'

it('a process tells what is wrong with its holds, as it was last seen, and that all is well', () => {
  const trouble = new SluiceError('unreachable', 'Redis does not answer', { retryable: true })
  expect(holdsReadiness({ trouble })).toEqual({ ok: false, detail: 'Redis does not answer' })
  expect(holdsReadiness({ trouble: null })).toEqual({ ok: true })
})
