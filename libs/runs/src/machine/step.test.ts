/**
 * The machine as tables. A line of a table says what comes of a fact: the phase after it, the events that are
 * written, and what is next. What no line names is impossible, and throws; the tests go through all pairs.
 */
import { SluiceError } from '@sluice/contracts/errors'
import {
  QUEUED,
  RUNNING,
  HELD,
  HELD_ELSEWHERE,
  FOUND,
  NOTHING,
  ENDED,
  DELIVERED,
  IDLE,
  AT_WORK,
  PHASES,
  inWords,
  TO,
} from '@sluice/testkit/sample-lives'
import { describe, expect, it } from 'vitest'
import { interruptedRun } from './find-runs.ts'
import { nextOf } from './join-queued.ts'
import { approvedRun, type RunState } from './run-events.ts'
import { step } from './step.ts'
import type { AtWork, Fact, SyncLife } from './sync-life.ts'

const FACTS: { readonly [fact: string]: Fact } = {
  idle: { kind: 'idle', at: 20 },
  'inspected: nothing is written': {
    kind: 'inspected',
    tails: [
      { ...ENDED, run: 6 },
      { ...ENDED, run: 6 },
    ],
  },
  'inspected: all is written': { kind: 'inspected', tails: [ENDED, ENDED] },
  'inspected: all is written, and ends early': {
    kind: 'inspected',
    tails: [ENDED, { ...ENDED, sealed: true }],
  },
  'inspected: a run-end is missing': { kind: 'inspected', tails: [ENDED, { ...ENDED, ended: false }] },
  'inspected: a run-begin is missing': { kind: 'inspected', tails: [ENDED, { ...ENDED, run: 6 }] },
  closed: { kind: 'closed' },
  begun: { kind: 'begun', definition: 'd' },
  restoring: { kind: 'restoring', restoring: { records: 1, of: 2, why: null } },
  restored: { kind: 'restored' },
  'detected: nothing': { kind: 'detected', found: NOTHING, records: 0, toApprove: null, to: TO },
  'detected: changes': { kind: 'detected', found: FOUND, records: 2, toApprove: null, to: TO },
  'detected: too many removals': { kind: 'detected', found: FOUND, records: 2, toApprove: HELD, to: TO },
  'detected: another destination': {
    kind: 'detected',
    found: FOUND,
    records: 2,
    toApprove: null,
    to: HELD_ELSEWHERE.destination.to,
  },
  held: { kind: 'held', toApprove: HELD, at: 20 },
  prepared: { kind: 'prepared', at: 20 },
  publishing: { kind: 'publishing', at: 20 },
  published: { kind: 'published', at: 20 },
  'publishing-cancelled': { kind: 'publishing-cancelled', at: 20 },
  failed: { kind: 'failed', error: new SluiceError('query', 'no such table'), at: 20 },
  'let-go': { kind: 'let-go' },
  reported: { kind: 'reported', reports: DELIVERED, at: 20 },
  replaced: { kind: 'replaced', newRunId: 'NEW', at: 20 },
  ended: { kind: 'ended', endsBefore: [], at: 20 },
  released: { kind: 'released' },
}

/** `PHASE → FACT: PHASE; EVENTS; NEXT`, for a run that nobody has cancelled, and nothing else is known of. */
const RUN_AT_WORK = `
none        → idle: none; ; wait

taken       → begun: detecting; RUN running; go-on
taken       → failed: done; RUN failed; release

detecting   → restoring: detecting; RUN running; go-on
detecting   → restored: detecting; ; go-on
detecting   → detected: nothing: reported; ; end
detecting   → detected: changes: detecting; ; publish
detecting   → detected: too many removals: detecting; ; hold
detecting   → detected: another destination: detecting; RUN running; publish
detecting   → held: done; RUN held; release
detecting   → prepared: detecting; RUN running; go-on
detecting   → publishing: publishing; ; go-on
detecting   → let-go: detecting; RUN running; go-on
detecting   → failed: done; RUN failed; release

publishing  → published: delivering; RUN running; await-reports
publishing  → publishing-cancelled: delivering; ; await-reports
publishing  → let-go: publishing; RUN running; go-on
publishing  → failed: publishing; RUN running, failed; take-over

delivering  → reported: reported; ; end
reported    → ended: done; RUN success; release
done        → released: none; ; go-on

interrupted → inspected: nothing is written: unpublished; ; replace
interrupted → inspected: all is written: delivering; RUN running; await-reports
interrupted → inspected: all is written, and ends early: delivering; ; await-reports
interrupted → inspected: a run-end is missing: closing; ; close
interrupted → inspected: a run-begin is missing: closing; ; close
closing     → closed: delivering; ; await-reports
unpublished → replaced: unpublished; NEW queued; end
unpublished → ended: done; RUN failed; release
reported    → replaced: reported; ; end
`

/** The same where somebody has cancelled the run, as far as it makes a difference. */
const CANCELLED_RUN = `
taken       → failed: done; RUN cancelled; release
detecting   → failed: done; RUN cancelled; release
reported    → ended: done; RUN cancelled; release
interrupted → inspected: nothing is written: unpublished; ; end
unpublished → replaced: unpublished; ; end
unpublished → ended: done; RUN cancelled; release
`

const lineOf = /^(\w+) +→ (.+): (\w+); (.*); ([\w-]+)$/

function linesOf(table: string): ReadonlyMap<string, string> {
  return new Map(
    table
      .trim()
      .split('\n')
      .filter(line => line !== '')
      .map(line => {
        const [, phase = '', fact = '', to = '', events = '', next = ''] = lineOf.exec(line) ?? []
        return [`${phase} → ${fact}`, `${to}; ${events}; ${next}`] as const
      }),
  )
}

function told(life: SyncLife, fact: Fact): string {
  try {
    return inWords(step(life, fact))
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'internal') return 'impossible'
    throw error
  }
}

describe('what the owner of a sync finds out about its run', () => {
  const lines = linesOf(RUN_AT_WORK)
  const pairs = ['none' as const, ...PHASES].flatMap(phase =>
    Object.keys(FACTS).map(fact => [phase, fact] as const),
  )

  it.each(pairs)('%s → %s', (phase, name) => {
    const atWork = phase === 'none' ? null : AT_WORK[phase]
    const fact = FACTS[name] ?? FACTS['idle']
    expect(fact && told({ ...IDLE, atWork }, fact)).toBe(lines.get(`${phase} → ${name}`) ?? 'impossible')
  })

  it('is named by no line that is none of these pairs', () => {
    const known = new Set(pairs.map(pair => pair.join(' → ')))
    expect([...lines.keys()].filter(line => !known.has(line))).toEqual([])
  })

  it.each([...linesOf(CANCELLED_RUN)])('%s, where somebody cancelled it', (pair, expected) => {
    const [phase, name = ''] = pair.split(' → ')
    const at = PHASES.find(one => one === phase) ?? 'interrupted'
    const atWork = { ...AT_WORK[at], run: { ...AT_WORK[at].run, cancelling: true } }
    const fact = FACTS[name] ?? FACTS['idle']
    expect(fact && told({ ...IDLE, atWork }, fact)).toBe(expected)
  })
})

describe('a run that is taken up', () => {
  it('gets the next number, and what earlier runs lost', () => {
    const faults = [{ partition: 1, run: 3, from: 4 }]
    const { life } = step(
      { ...IDLE, faults, queued: [{ ...QUEUED, runId: 'NEXT' }] },
      { kind: 'idle', at: 20 },
    )
    expect(life).toMatchObject({ lastRun: 8, queued: [] })
    expect(life.atWork).toMatchObject({
      phase: 'taken',
      run: { runId: 'NEXT', status: 'queued', run: 8, first: true, faults, startedAt: 20 },
    })
  })

  it('is the first of the decisions, and then the ordinary one', () => {
    const of = (runId: string, more: Partial<RunState>): RunState => ({ ...QUEUED, runId, ...more })
    const queued = [
      of('ORDINARY', { command: 1 }),
      of('LATER', { command: 8, cause: 'retry' }),
      of('FIRST', { command: 5, cause: 'discard' }),
    ]
    const order: string[] = []
    for (let life: SyncLife = { ...IDLE, queued }; life.queued.length > 0; life = { ...life, atWork: null }) {
      life = step(life, { kind: 'idle', at: 20 }).life
      order.push(life.atWork?.run.runId ?? '')
    }
    expect(order).toEqual(['FIRST', 'LATER', 'ORDINARY'])
  })

  it('of an earlier version is about all runs before it, if it decides', () => {
    const upTo = (cause: RunState['cause']): number | null | undefined =>
      step({ ...IDLE, queued: [{ ...QUEUED, cause }] }, { kind: 'idle', at: 20 }).life.atWork?.run.upTo
    expect([upTo('retry'), upTo('discard'), upTo('resync'), upTo('manual')]).toEqual([7, 7, 7, null])
  })

  it('ends the one that awaits approval, which it takes the place of', () => {
    const awaiting: RunState = { ...RUNNING, runId: 'HELD', status: 'held', held: HELD }
    const taken = step({ ...IDLE, awaiting, queued: [QUEUED] }, { kind: 'idle', at: 20 })
    expect(inWords(taken)).toBe('taken; HELD cancelled; detect')
    expect(taken.life.awaiting).toBeNull()
    expect(taken.events[0]?.error).toContain('run RUN, which is newer, took its place')
  })

  it.each([
    ['manual', 'manual', false],
    ['schedule', 'manual', false],
    ['manual', 'resync', false],
    ['resync', 'resync', false],
    ['resync', 'discard', true],
    ['replay', 'manual', true],
    ['manual', 'discard', true],
  ] as const)(
    'ends a held %s, and says of a %s in its place that it does less: %s',
    (held, newer, isLess) => {
      const awaiting: RunState = { ...RUNNING, runId: 'HELD', cause: held, status: 'held', held: HELD }
      const life = { ...IDLE, awaiting, queued: [{ ...QUEUED, cause: newer }] }
      const [ended] = step(life, { kind: 'idle', at: 20 }).events
      expect(ended?.error?.endsWith('It does not do the same, so ask for this one again')).toBe(isLess)
    },
  )

  it('to reset the sync is written once more, which only its owner can do, and gets no number', () => {
    const taken = step({ ...IDLE, queued: [{ ...QUEUED, cause: 'reset' }] }, { kind: 'idle', at: 20 })
    expect(inWords(taken)).toBe('taken; RUN queued; reset')
    expect(taken.life).toMatchObject({ lastRun: 7, atWork: { run: { run: null } } })
  })
})

describe('a run that ends', () => {
  it('has been through the model where it was complete, so that the next run is not the first', () => {
    const first = (life: SyncLife, fact: Fact): boolean => step(life, fact).life.first
    expect(first({ ...IDLE, atWork: AT_WORK.publishing }, { kind: 'published', at: 20 })).toBe(false)
    const discard = { ...AT_WORK.publishing, run: { ...AT_WORK.publishing.run, cause: 'discard' } } as const
    expect(first({ ...IDLE, atWork: discard }, { kind: 'published', at: 20 })).toBe(true)
    const nothing = { ...AT_WORK.detecting, phase: 'reported' } as const
    expect(first({ ...IDLE, atWork: nothing }, { kind: 'ended', endsBefore: [], at: 20 })).toBe(false)
    const interrupted = { ...AT_WORK.reported, isInterrupted: true }
    const inherited = { ...interrupted, run: { ...interrupted.run, first: true } }
    expect(first({ ...IDLE, atWork: inherited }, { kind: 'ended', endsBefore: [], at: 20 })).toBe(false)
    const leftFirst = { ...interrupted, run: { ...interrupted.run, first: true, complete: false } }
    expect(first({ ...IDLE, atWork: leftFirst }, { kind: 'ended', endsBefore: [], at: 20 })).toBe(true)
  })

  it('hands on what it lost to the next run', () => {
    const [one, ...others] = DELIVERED
    const reports = one === undefined ? [] : [{ ...one, faultedFrom: 3 }, ...others]
    const ended = step(
      { ...IDLE, atWork: { ...AT_WORK.reported, reports } },
      { kind: 'ended', endsBefore: [], at: 20 },
    )
    expect(ended.life.faults).toEqual([{ partition: 0, run: 7, from: 3 }])
  })

  it('fails where its own files cannot be closed after that, and awaits no approval any more', () => {
    const run: RunState = { ...RUNNING, status: 'held', held: HELD }
    const done = { ...AT_WORK.done, isWritten: false, run }
    const failed = step(
      { ...IDLE, awaiting: run, atWork: done },
      { kind: 'failed', error: new Error('disk'), at: 20 },
    )
    expect(inWords(failed)).toBe('done; RUN failed; release')
    expect(failed.life.awaiting).toBeNull()
  })

  it('goes on as approved where its own files cannot be closed and somebody has approved it', () => {
    const run: RunState = { ...RUNNING, status: 'held', held: HELD }
    const done = { ...AT_WORK.done, isWritten: false, run }
    const queued = approvedRun(run, 9)
    const failed = step(
      { ...IDLE, queued: [queued], atWork: done },
      { kind: 'failed', error: new Error('disk'), at: 20 },
    )
    expect([failed.events, failed.next, failed.life.queued]).toEqual([[], 'release', [queued]])
  })
})

/** The life of a sync whose interrupted run is in this phase. */
function interruptedIn(
  phase: 'unpublished' | 'reported',
  run: Partial<RunState> = {},
  more: Partial<SyncLife> = {},
): SyncLife {
  const atWork = {
    ...interruptedRun({ ...RUNNING, ...run }),
    phase,
    isWritten: phase !== 'unpublished',
    endsEarly: phase !== 'unpublished',
  }
  return { ...IDLE, atWork, ...more }
}

describe('a run in the place of an interrupted one', () => {
  const replaced = { kind: 'replaced', newRunId: 'NEW', at: 20 } as const
  const ANEW: RunState = { ...QUEUED, runId: 'ANEW' }

  it('is queued once its partitions are reported, if its markers end it early', () => {
    const reported = (atWork: Partial<AtWork>): string =>
      told(
        { ...IDLE, atWork: { ...interruptedRun(RUNNING), phase: 'delivering', isWritten: true, ...atWork } },
        {
          kind: 'reported',
          reports: DELIVERED,
          at: 20,
        },
      )
    expect(reported({ endsEarly: true })).toBe('reported; ; replace')
    expect(reported({})).toBe('reported; ; end')
    const inspected = step(
      { ...IDLE, atWork: interruptedRun(RUNNING, true) },
      { kind: 'inspected', tails: [ENDED, ENDED] },
    )
    expect(inspected.life.atWork).toMatchObject({ endsEarly: true, phase: 'delivering' })
  })

  it('is the one that is queued already, where that does as much', () => {
    expect(inWords(step(interruptedIn('unpublished', {}, { queued: [ANEW] }), replaced))).toBe(
      'unpublished; ; end',
    )
  })

  it('gives what is left of the approval to the one that is queued already', () => {
    const done = step(
      interruptedIn('unpublished', { approved: 300 }, { queued: [{ ...ANEW, command: 5 }] }),
      replaced,
    )
    expect(done.events).toMatchObject([{ runId: 'ANEW', approved: 300 }])
  })

  it('waits beside what is queued and does something else, and goes first', () => {
    const discard = { ...QUEUED, runId: 'DISCARD', cause: 'discard', command: 5 } as const
    const done = step(interruptedIn('reported', {}, { queued: [discard] }), replaced)
    expect(inWords(done)).toBe('reported; NEW queued; end')
    const decision = { cause: 'discard', command: 4, upTo: 6 } as const
    const plain: RunState = { ...ANEW, command: 6 }
    const both = step(interruptedIn('reported', decision, { queued: [plain, discard] }), replaced)
    expect(both.events).toMatchObject([{ runId: 'DISCARD', upTo: 6 }])
    const retried = step(
      interruptedIn('reported', { ...decision, cause: 'retry' }, { queued: [plain] }),
      replaced,
    )
    expect(nextOf(retried.life.queued)).toMatchObject({ runId: 'NEW', cause: 'retry', upTo: 6 })
  })

  it('has the `upTo` of the interrupted one, so that it repeats nothing that this one did', () => {
    for (const cause of ['retry', 'discard', 'resync'] as const) {
      const upTo = (run: Partial<RunState>): number | null | undefined =>
        step(interruptedIn('reported', { cause, ...run }), replaced).events[0]?.upTo
      expect([upTo({ upTo: 3 }), upTo({ upTo: null })]).toEqual([3, 6])
    }
    expect(step(interruptedIn('reported'), replaced).events[0]?.upTo).toBeNull()
  })

  it('is queued once, where an owner died after it had queued it', () => {
    const replay = { cause: 'replay', command: 4 } as const
    const queued = [{ ...ANEW, ...replay }]
    expect(inWords(step(interruptedIn('reported', replay, { queued }), replaced))).toBe('reported; ; end')
  })

  it.each([
    ['was cancelled', { cancelling: true }, {}],
    ['failed by itself', { error: 'no such table' }, {}],
    ['has had one that somebody cancelled', {}, { replacementCancelled: true }],
  ] as const)('is not queued for one that %s', (_, run, more) => {
    expect(inWords(step(interruptedIn('unpublished', run, more), replaced))).toBe('unpublished; ; end')
  })

  it('ends with the interrupted one, where that is cancelled', () => {
    const ended = { kind: 'ended', endsBefore: [], at: 20 } as const
    const both = step(interruptedIn('unpublished', { cancelling: true }, { queued: [ANEW] }), ended)
    expect(inWords(both)).toBe('done; ANEW cancelled + RUN cancelled; release')
    expect(both.life).toMatchObject({ queued: [], replacementCancelled: true })
  })

  it('goes on without the approval, where somebody has asked for it meanwhile', () => {
    const asked = { ...ANEW, command: 5, approved: 300 }
    const ended = { kind: 'ended', endsBefore: [], at: 20 } as const
    const both = step(
      interruptedIn('unpublished', { cancelling: true, approved: 300 }, { queued: [asked] }),
      ended,
    )
    expect(both.events).toMatchObject([
      { runId: 'ANEW', status: 'queued', approved: null },
      { status: 'cancelled' },
    ])
    const reset = { ...asked, cause: 'reset', approved: null } as const
    const alone = step(interruptedIn('unpublished', { cancelling: true }, { queued: [reset] }), ended)
    expect(inWords(alone)).toBe('done; RUN cancelled; release')
  })
})
