/** A table of the end of each life of a sync that nobody can own, and of each command to it. */
import { SluiceError } from '@sluice/contracts/errors'
import { FOUND, HELD, IDLE, inWords, QUEUED, RUNNING } from '@sluice/testkit/sample-lives'
import { sampleCounts, sampleReport } from '@sluice/testkit/sample-records'
import { describe, expect, it } from 'vitest'
import { interruptedRun } from './find-runs.ts'
import type { RunState } from './run-events.ts'
import { step } from './step.ts'
import type { Suspension, SyncLife } from './sync-life.ts'

const REFUSED = new SluiceError('unreachable', 'no right to write changes')
const LOST = new SluiceError('lost-topic', 'there is no topic changes any more')
const LEFT = interruptedRun({ ...RUNNING, ...FOUND, complete: true })
const AWAITING: RunState = { ...RUNNING, runId: 'HELD', status: 'held', held: HELD }
const NEXT: RunState = { ...QUEUED, runId: 'NEXT' }

function aside(error: SluiceError, of: Partial<Suspension> = {}): Suspension {
  return { sync: 's', incarnation: 'i', error, reports: [], endsBefore: [], at: 20, ...of }
}

describe('a suspended sync', () => {
  it.each([
    ['nothing', {}, '', '', 'wait'],
    ['a run at work', { atWork: LEFT }, 'RUN failed', 'RUN failed', 'wait'],
    ['a queued run', { queued: [NEXT] }, 'NEXT failed', 'NEXT failed', 'wait'],
    [
      'both',
      { atWork: LEFT, queued: [NEXT] },
      'RUN failed + NEXT failed',
      'RUN failed + NEXT failed',
      'wait',
    ],
    ['a run that awaits approval', { awaiting: AWAITING }, '', 'HELD failed', 'wait'],
    [
      'that and a queued one',
      { awaiting: AWAITING, queued: [NEXT] },
      'NEXT failed',
      'HELD failed + NEXT failed',
      'wait',
    ],
    ['a queued reset', { queued: [{ ...NEXT, cause: 'reset' }] }, '', '', 'reset'],
  ] as const)('with %s', (...[, life, refused, lost, next]) => {
    const told = (error: SluiceError): string =>
      inWords(step({ ...IDLE, ...life }, { kind: 'suspended', aside: aside(error) }))
    expect(told(REFUSED)).toBe(`none; ${refused}; ${next}`)
    expect(told(LOST)).toBe(`none; ${lost}; ${next}`)
  })

  it('takes what was not reported of its run as unknown, and hands that on to the next', () => {
    const reports = [
      sampleReport({ run: 7, partition: 0, counts: { added: sampleCounts({ delivered: 1 }) } }),
    ]
    const { life, events } = step(
      { ...IDLE, atWork: LEFT },
      { kind: 'suspended', aside: aside(REFUSED, { reports }) },
    )
    const faults = [{ partition: 1, run: 7, from: 0 }]
    expect(events).toMatchObject([
      {
        error: REFUSED.message,
        errorCode: 'unreachable',
        faults,
        counts: { added: { delivered: 1, unknown: 1 } },
      },
    ])
    expect(life.faults).toEqual(faults)
  })

  it.each([
    ['run', { kind: 'run', id: 'ASKED' }, '', 'ASKED failed', 'wait'],
    ['cancel HELD', { kind: 'cancel', run: 'HELD' }, '', '', 'wait'],
    ['cancel HELD', { kind: 'cancel', run: 'HELD' }, 'HELD', 'HELD cancelled', 'wait'],
    ['cancel RUN', { kind: 'cancel', run: 'RUN' }, 'HELD', '', 'wait'],
    ['approve HELD', { kind: 'approve', run: 'HELD' }, 'HELD', 'HELD failed', 'wait'],
    ['reset', { kind: 'reset', id: 'RESET', cause: 'reset' }, 'HELD', '', 'reset'],
  ] as const)('is told to %s', (...[, command, waits, events, next]) => {
    const none = { id: 'c', kind: 'run', sync: 's', cause: 'manual', run: null, at: 15, scope: null } as const
    const life: SyncLife = { ...IDLE, awaiting: waits === '' ? null : AWAITING }
    const told = (offset: number): string => {
      const asked = {
        kind: 'asked',
        command: { ...none, ...command },
        offset,
        partitions: 0,
        at: 20,
      } as const
      return inWords(step(life, { kind: 'asked-suspended', asked, aside: aside(REFUSED) }))
    }
    expect(told(9)).toBe(`none; ${events}; ${next}`)
    expect(told(life.lastCommand)).toBe('none; ; wait')
  })

  it('whose reset is refused, too, says so', () => {
    const failed = { kind: 'reset-failed', error: REFUSED, at: 20 } as const
    const { life, events } = step({ ...IDLE, queued: [{ ...NEXT, cause: 'reset' }] }, failed)
    expect(events).toMatchObject([{ runId: 'NEXT', status: 'failed', error: REFUSED.message }])
    expect(life.queued).toEqual([])
    expect(step(IDLE, failed).events).toEqual([])
  })
})
