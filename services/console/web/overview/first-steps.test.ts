import type { SyncView } from '@sluice/contracts/api'
import { describe, expect, it } from 'vitest'
import { firstSteps, isBeforeFirstRow } from './first-steps.ts'

type Synced = Parameters<typeof isBeforeFirstRow>[0][number]
const sync = (name: string, past: Partial<Synced> = {}): Synced => ({ name, lastRun: null, ...past })
const ended = (status: string, delivered: number) =>
  ({
    lastRun: { status },
    runs: [{ status, delivered }],
  }) as unknown as Pick<SyncView, 'lastRun' | 'runs'>

const done = (present: Parameters<typeof firstSteps>[0]): readonly string[] =>
  firstSteps(present).flatMap(({ id, isDone }) => (isDone ? [id] : []))
const kind = (name: 'source' | 'model' | 'destination') => ({ kind: name, name: `my-${name}` })

describe('the first steps', () => {
  it('are done as far as their resources are there, and lead to where each is done', () => {
    expect(done({ resources: [], syncs: [], isTested: false })).toEqual([])
    const some = { resources: [kind('source'), kind('model')], syncs: [], isTested: false }
    expect(done(some)).toEqual(['source', 'model'])
    expect(firstSteps(some).map(({ place }) => place)).toEqual([
      { to: '/resources', search: { kind: 'source' } },
      { to: '/resources', search: { kind: 'model' } },
      { to: '/new', search: { step: 'destination' } },
      { to: '/new', search: { step: 'requests' } },
      { to: '/new', search: { step: 'review' } },
    ])
  })

  it('lead to the sync once there is one, whose test and whose first run are left', () => {
    const all = [kind('source'), kind('model'), kind('destination')]
    const steps = firstSteps({ resources: all, syncs: [sync('crm')], isTested: true })
    expect(steps.slice(3)).toEqual([
      {
        ...{ id: 'test', isDone: true },
        place: { to: '/syncs/$name/edit', params: { name: 'crm' }, search: { step: 'requests' } },
      },
      { id: 'run', isDone: false, place: { to: '/syncs/$name', params: { name: 'crm' } } },
    ])
  })

  it('are over with the first delivered row, or the first run that left nothing', () => {
    expect(isBeforeFirstRow([sync('crm', ended('failed', 0)), sync('shop')])).toBe(true)
    expect(isBeforeFirstRow([sync('crm', ended('warning', 3))])).toBe(false)
    expect(isBeforeFirstRow([sync('crm', ended('success', 0))])).toBe(false)
    expect(isBeforeFirstRow([sync('crm', { delivered: { rows: 1, isWhole: true } })])).toBe(false)
  })

  it('do not count the sample project', () => {
    const resources = [
      { kind: 'source', name: 'sample-rows' },
      { kind: 'model', name: 'sample-customers' },
      { kind: 'destination', name: 'sample-receiver' },
      { kind: 'sync', name: 'sample-customers' },
    ] as const
    const syncs = [sync('sample-customers', ended('success', 3))]
    expect(done({ resources, syncs, isTested: false })).toEqual([])
  })
})
