import type { RunView } from '@sluice/contracts/api'
import { describe, expect, it } from 'vitest'
import { leftInWords, nowInWords, speedInWords } from './now-in-words.ts'

const AT = '2026-01-01T00:00:00.000Z'
const NONE = { delivered: 0, rejected: 0, unknown: 0, unsent: 0, requests: 0, attempts: 0 }
const run = (changes: Partial<RunView> = {}): RunView => ({
  ...{ id: 'R', sync: 's', status: 'running', cause: 'manual', startedAt: AT, endedAt: null },
  ...{ rowsRead: 0, rowsInvalid: 0, error: null, triggers: {} },
  ...changes,
})
const begun = (...names: readonly NonNullable<RunView['phases']>[number]['phase'][]) =>
  names.map(phase => ({ phase, startedAt: AT, endedAt: null }))

describe('what a run does now', () => {
  const stream = {
    ...{ since: AT, comparing: null, read: 0, unreadable: 0, lagRecords: null },
    ...{ lagSeconds: null, committedAt: null },
  }
  const found = { rowsRead: 50_000, triggers: { added: { ...NONE, detected: 50_000 } } }
  it.each([
    ['sends each change of its source as it comes', run({ ...found, stream })],
    [
      'compares the whole table with what was delivered, since the slot was lost',
      run({ ...found, stream: { ...stream, comparing: 'the slot was lost' } }),
    ],
    ['waits for its turn', run({ status: 'queued', startedAt: null })],
    ['reads the model’s rows', run()],
    [
      'rebuilds the delivered state (no cache): 1 of 2 records',
      run({ restoring: { why: 'no cache', records: 1, of: 2 } }),
    ],
    ['writes the changes down: 50,000 rows', run({ ...found, phases: begun('detecting') })],
    ['renders requests: 50,000 rows', run({ ...found, phases: begun('publishing', 'rendering') })],
    ['sends requests: 50,000 rows', run({ ...found, phases: begun('publishing', 'rendering', 'sending') })],
    ['waits for approval', run({ status: 'held' })],
    [
      'Stopped: nothing is sent now. 50,000 rows wait.',
      run({
        ...{ ...found, phases: begun('publishing', 'rendering', 'sending') },
        waiting: [{ kind: 'breaker', since: AT, until: null, detail: 'it refuses connections' }],
      }),
    ],
    [
      'Stopped: nothing is sent now. 180 rows wait, 96 of which failed.',
      run({
        phases: begun('publishing', 'rendering', 'sending'),
        triggers: { added: { ...NONE, detected: 200, delivered: 20, unknown: 96 } },
        waiting: [{ kind: 'breaker', since: AT, until: null, detail: 'it refuses connections' }],
      }),
    ],
  ])('%s', (words, view) => {
    expect(nowInWords(view)).toContain(words)
  })
})

it('says failures apart from what is delivered', () => {
  const speed = (deliveredPerSecond: number, failedPerSecond: number) =>
    speedInWords({ throughput: { deliveredPerSecond, failedPerSecond } })
  expect(speed(80.4, 0)).toBe('80 rows/s delivered')
  expect(speed(0, 2_920)).toBe('0 rows/s delivered, 2,920 rows/s failed')
  expect(speed(0.4, 0)).toBe('less than 1 row/s delivered')
  expect(speedInWords({})).toBeNull()
})

it('rounds the time that is left', () => {
  expect([59, 61, 3_600, 9_000].map(leftInWords)).toEqual([
    'about 59 s left',
    'about 1 min left',
    'about 1 h 0 min left',
    'about 2 h 30 min left',
  ])
})
