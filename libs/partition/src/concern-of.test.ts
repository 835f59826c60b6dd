import { expect, it } from 'vitest'
import { ERROR_CODES, SluiceError } from '@sluice/contracts/errors'
import { concernOf } from './concern-of.ts'

it.each(ERROR_CODES)('what may succeed by itself later passes, whatever it is called: %s', code => {
  expect(concernOf(new SluiceError(code, '', { retryable: true }))).toBe('passing')
})

it.each([
  ['passing', ['fenced', 'writer-dead']],
  ['process', ['disk', 'aborted', 'usage', 'internal']],
] as const)('%s: %j', (concern, codes) => {
  for (const code of codes) expect(concernOf(new SluiceError(code, ''))).toBe(concern)
})

it('all else is of one sync, and stops no other', () => {
  const others = ['fenced', 'writer-dead', 'disk', 'aborted', 'usage', 'internal']
  for (const code of ERROR_CODES)
    if (!others.includes(code)) expect(concernOf(new SluiceError(code, '')), code).toBe('sync')
})

it('an error that nobody threw on purpose is a bug, and ends the process', () => {
  expect(concernOf(new TypeError('x is not a function'))).toBe('process')
  expect(concernOf('a text')).toBe('process')
})
