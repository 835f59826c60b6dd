import { expect, it } from 'vitest'
import { lagInWords, streamInWords } from './stream-in-words.ts'

const stream = {
  ...{ since: '2026-06-15T09:00:00.000Z', comparing: null, read: 9, unreadable: 0 },
  ...{ lagRecords: 7, lagSeconds: 0.34, committedAt: null, rowsPerSecond: 12 },
}

it('tells the lag in time and in records, and the rows a minute', () => {
  expect(streamInWords(stream)).toBe('lag 340 ms, 7 records to read · 720 rows a minute')
})

it('leaves out what the source does not tell, and what is not known', () => {
  const { rowsPerSecond: _, ...rest } = stream
  expect(streamInWords({ ...rest, lagRecords: null, lagSeconds: null })).toBe('lag none')
  expect(lagInWords({ lagSeconds: 75 })).toBe('1 min 15 s')
})

it('tells of rows that failed once nothing else waits', () => {
  expect(lagInWords({ lagSeconds: null, waiting: 2 })).toBe('2 rows failed')
  expect(lagInWords({ lagSeconds: 75, waiting: 2 })).toBe('1 min 15 s')
  expect(lagInWords({ lagSeconds: null, waiting: 0 })).toBe('none')
})

it('says that it compares', () => {
  expect(streamInWords({ ...stream, comparing: 'the slot was lost' })).toBe('compares the whole table')
})
