import type { RunView } from '@sluice/contracts/api'
import { expect, it } from 'vitest'
import { sourceStateOf, type ReadBySync } from './source-state.ts'

const at = (minute: number): string => `2026-01-01T00:${String(minute).padStart(2, '0')}:00.000Z`
const run = (minute: number, failed = false): RunView => ({
  ...{ id: `R${minute}`, sync: 's', status: failed ? 'failed' : 'success', cause: 'manual' },
  ...{ startedAt: at(minute), endedAt: at(minute), rowsRead: 180, rowsInvalid: 0, error: null, triggers: {} },
  phases: [
    { phase: 'detecting', startedAt: at(minute), endedAt: at(minute), ...(failed ? { failed: true } : {}) },
  ],
})
const fine = (name: string, minute: number): ReadBySync => ({ name, lastRun: run(minute) })
const broken = (name: string, minute: number): ReadBySync => ({
  ...{ name, lastRun: run(minute, true) },
  trouble: {
    ...{ text: 'Source crm: no answer.', source: 'crm', isFailing: true, fix: null },
    ...{ run: `R${minute}`, since: at(1), runs: 3 },
  },
})

it('a source is as the newest run of its syncs has found it', () => {
  expect(sourceStateOf('crm', [])).toEqual({ is: 'never read' })
  expect(sourceStateOf('crm', [{ name: 'new', lastRun: null }])).toEqual({ is: 'never read' })
  expect(sourceStateOf('crm', [fine('a', 5), fine('b', 7)])).toEqual({
    ...{ is: 'healthy', at: at(7), sync: 'b', run: 'R7', rows: 180 },
  })
  expect(sourceStateOf('crm', [fine('a', 5), broken('b', 7)])).toEqual({
    ...{ is: 'failing', text: 'Source crm: no answer.', sync: 'b', run: 'R7', since: at(1), readAt: at(5) },
  })
  expect(sourceStateOf('crm', [fine('a', 9), broken('b', 7)])).toMatchObject({ is: 'healthy', sync: 'a' })
})

it('a source does not fail for the trouble of another one, or of the destination', () => {
  const { trouble, ...other } = broken('b', 7)
  expect(sourceStateOf('shop', [broken('b', 7)])).toEqual({ is: 'never read' })
  expect(sourceStateOf('crm', [{ ...other }])).toEqual({ is: 'never read' })
  expect(trouble?.source).toBe('crm')
})
