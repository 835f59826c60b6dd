import { describe, expect, it } from 'vitest'
import { wordsOf } from './sync-state.tsx'

const run = (status: 'failed' | 'queued' | 'success') => ({
  ...({ id: '01', sync: 'people', status, cause: 'manual', startedAt: null, endedAt: null } as const),
  ...{ rowsRead: 0, rowsInvalid: 0, error: null, triggers: {} },
})
const trouble = { text: 'It fails.', isFailing: true, fix: null, run: '00', since: null, runs: 1 }

describe('a sync is found', () => {
  it('as failing if the overview counts it so, whatever its badge says', () => {
    expect(wordsOf({ state: 'parked', lastRun: run('queued'), trouble })).toBe('suspended failing')
    expect(wordsOf({ state: 'idle', lastRun: run('failed'), trouble })).toBe('failed failing')
    expect(wordsOf({ state: 'idle', lastRun: run('queued'), trouble })).toBe('failing')
  })

  it('by the word of its badge alone if nothing is wrong with it', () => {
    expect(wordsOf({ state: 'idle', lastRun: run('success') })).toBe('success')
    expect(wordsOf({ state: 'idle', lastRun: null })).toBe('never ran')
  })
})
