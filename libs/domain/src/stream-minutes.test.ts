import { expect, it } from 'vitest'
import { streamMinutes } from './stream-minutes.ts'

const MINUTE = 60_000
const minute = (at: number, delivered: number, lagMs: number | null = null) => {
  return { at, read: delivered, detected: delivered, delivered, failed: 0, lagMs }
}
const run = (...minutes: readonly ReturnType<typeof minute>[]) => {
  const none = { since: 0, comparing: null, read: 0, unreadable: 0, lagRecords: null, lagMs: null }
  return { stream: { ...none, committedAt: null, minutes } }
}

it('adds up the minute that two runs share, with the lag of the later one', () => {
  const later = run(minute(2 * MINUTE + 30_000, 4, 900), minute(3 * MINUTE, 1))
  const earlier = run(minute(MINUTE, 2), minute(2 * MINUTE, 3, 100))
  expect(streamMinutes([later, earlier])).toEqual([
    minute(MINUTE, 2),
    minute(2 * MINUTE, 7, 900),
    minute(3 * MINUTE, 1),
  ])
})

it('has the last hour, and nothing of runs over a table', () => {
  const minutes = Array.from({ length: 50 }, (_, at) => minute(at * MINUTE, 1))
  const next = Array.from({ length: 50 }, (_, at) => minute((at + 50) * MINUTE, 1))
  const all = streamMinutes([run(...minutes), { stream: null }, run(...next)])
  expect([all.length, all[0]?.at]).toEqual([60, 40 * MINUTE])
})
