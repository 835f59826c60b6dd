import { expect, it } from 'vitest'
import { endingAlso, endingOf } from './ends.ts'

const controllers = () => ({
  drain: new AbortController(),
  abort: new AbortController(),
  other: new AbortController(),
})

it.each(['drain', 'abort', 'other'] as const)('the ending comes with the first signal: %s', name => {
  const { drain, abort, other } = controllers()
  const ending = endingOf({ drain: drain.signal, abort: abort.signal }, other.signal)
  expect(ending.aborted).toBe(false)

  const reason = new Error('it is over')
  ;({ drain, abort, other })[name].abort(reason)

  expect(ending.reason).toBe(reason)
})

it.each([
  ['drain', [true, false]],
  ['abort', [true, true]],
  ['other', [true, true]],
] as const)('of ends with one more signal, drain and abort follow %s: %j', (name, aborted) => {
  const { drain, abort, other } = controllers()
  const ends = endingAlso({ drain: drain.signal, abort: abort.signal }, other.signal)

  ;({ drain, abort, other })[name].abort()

  expect([ends.drain.aborted, ends.abort.aborted]).toEqual(aborted)
})
