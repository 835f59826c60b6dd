import { describe, expect, it } from 'vitest'
import type { RunView, SyncView } from '../api.ts'
import { runInWords, syncInWords } from './state-words.ts'

const run = (changes: Partial<RunView>): RunView => ({
  ...({ id: 'R', sync: 's', status: 'success', cause: 'manual', startedAt: null, endedAt: null } as const),
  ...{ rowsRead: 0, rowsInvalid: 0, error: null, triggers: {}, ...changes },
})
const trouble = { text: 'No.', isFailing: true, fix: null, run: 'R', since: null, runs: 1 }

describe('the word', () => {
  it('for a run of which nothing arrives is failing, unless it failed as a whole', () => {
    expect(runInWords(run({ status: 'warning', failing: true }))).toBe('failing')
    expect(runInWords(run({ status: 'running', failing: true }))).toBe('failing')
    expect(runInWords(run({ status: 'failed', failing: true }))).toBe('failed')
    expect(runInWords(run({ status: 'warning' }))).toBe('warning')
  })

  it('for a sync is that of its last run, of its trouble, or of its suspension', () => {
    const word = (changes: Partial<SyncView>) => syncInWords({ state: 'idle', lastRun: run({}), ...changes })
    expect(word({})).toBe('success')
    expect(word({ lastRun: null })).toBe('never ran')
    expect(word({ lastRun: run({ id: 'Q', status: 'queued' }), trouble })).toBe('failing')
    expect(word({ lastRun: run({ status: 'held' }), trouble })).toBe('held')
    expect(word({ lastRun: null, trouble: { ...trouble, isFailing: false, run: null } })).toBe('refused')
    expect(word({ state: 'parked', trouble })).toBe('suspended')
    expect(word({ state: 'set-aside' })).toBe('suspended')
  })
})
