import { describe, expect, it } from 'vitest'
import { AT_WORK, HELD, IDLE, QUEUED, RUNNING } from '@sluice/testkit/sample-lives'
import { step } from './step.ts'
import type { Due, SyncLife } from './sync-life.ts'

const HOUR_MS = 3_600_000
const FIRED = { at: 5_000, by: '{"every":1000}', next: 6_000 }
const DUE: Due = { kind: 'due', fired: FIRED, runId: 'DUE', partitions: 2, at: 5_010 }

function told(life: SyncLife, due: Due = DUE): string[] {
  return step(life, due).events.map(({ runId, status, cause, fired }) =>
    [runId, status, cause, fired?.at].join(' '),
  )
}

describe('an instant of the schedule', () => {
  it('starts a run where none is queued, also behind one at work', () => {
    expect(told(IDLE)).toEqual(['DUE queued schedule 5000'])
    expect(told({ ...IDLE, atWork: AT_WORK.delivering })).toEqual(['DUE queued schedule 5000'])
    expect(step(IDLE, DUE).life.fired).toEqual(FIRED)
  })

  it('starts no run where one is queued that sees the same rows: that one answers to it', () => {
    expect(told({ ...IDLE, queued: [QUEUED] })).toEqual(['RUN queued manual 5000'])
  })

  it('starts one run, however often it is told', () => {
    const { life } = step(IDLE, DUE)
    expect(told(life)).toEqual([])
    expect(told({ ...life, queued: [] }, { ...DUE, runId: 'ANOTHER', at: 9_000 })).toEqual([])
    expect(told({ ...IDLE, fired: FIRED }, { ...DUE, fired: { ...FIRED, at: 6_000 } })).toHaveLength(1)
  })

  it('starts a run beside one that does something else', () => {
    const discard = { ...QUEUED, cause: 'discard' } as const
    expect(told({ ...IDLE, queued: [discard] })).toEqual(['DUE queued schedule 5000'])
  })

  it('is passed over while a run awaits approval, which another would take the place of', () => {
    const awaiting = { ...RUNNING, status: 'held', held: HELD } as const
    expect(told({ ...IDLE, awaiting })).toEqual([])
    expect(told({ ...IDLE, awaiting, queued: [QUEUED] })).toHaveLength(1)
  })

  it('is passed over while the sync is reset: the next incarnation has its own', () => {
    expect(told({ ...IDLE, queued: [{ ...QUEUED, cause: 'reset' }] })).toEqual([])
  })

  it('starts a run though one was started ahead, by a clock that was wrong', () => {
    const life = { ...IDLE, fired: { ...FIRED, at: DUE.at + HOUR_MS + 1 } }
    expect(told(life)).toHaveLength(1)
    expect(told({ ...IDLE, fired: { ...FIRED, at: DUE.at + HOUR_MS } })).toEqual([])
  })

  it('fails a run of a sync that no process can own, once', () => {
    const aside = {
      sync: 's',
      incarnation: 'i',
      error: new Error('no topic'),
      reports: [],
      endsBefore: [],
      at: 1,
    }
    const { life, events } = step(IDLE, { kind: 'due-suspended', due: DUE, aside })
    expect(events).toMatchObject([{ runId: 'DUE', status: 'failed', cause: 'schedule', aside: true }])
    expect(step(life, { kind: 'due-suspended', due: DUE, aside }).events).toEqual([])
  })
})
