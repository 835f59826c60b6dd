import { expect, it } from 'vitest'
import { STARTING_DRAFT, withValue } from './draft.ts'
import { runSizeOf, timeInWords } from './run-size.ts'

const counts = { added: 250, changed: 5, removed: 0 }
const BATCH = ['triggers', 'added', 'batch']

it('a run has one request a row, or one for each batch of the trigger that sends them', () => {
  expect(runSizeOf(counts, STARTING_DRAFT)).toEqual({
    ...{ requests: 255, isExact: true, ms: 2_550, rate: '100 requests per second' },
  })
  const sync = withValue(STARTING_DRAFT.sync, BATCH, { size: 100 })
  // Changed rows are sent as added ones are.
  expect(runSizeOf(counts, { ...STARTING_DRAFT, sync })).toMatchObject({ requests: 4, isExact: false })
})

it('takes the strictest rate of destination and sync', () => {
  const sync = withValue(
    STARTING_DRAFT.sync,
    ['limits', 'rate'],
    [
      { requests: 50, per: 'minute' },
      { requests: 1000, per: '10s' },
    ],
  )
  expect(runSizeOf(counts, { ...STARTING_DRAFT, sync })).toMatchObject({
    ...{ ms: 306_000, rate: '50 requests per minute' },
  })
  const destination = withValue(STARTING_DRAFT.destination, ['limits'], undefined)
  expect(runSizeOf(counts, { ...STARTING_DRAFT, destination }).rate).toBe('1,000 requests per second')
})

it.each([
  [0, 'less than a second'],
  [1_400, 'about 1 second'],
  [90_000, 'about 90 seconds'],
  [306_000, 'about 5 minutes'],
  [9_000_000, 'about 3 hours'],
])('%d ms are %s', (ms, words) => {
  expect(timeInWords(ms)).toBe(words)
})
