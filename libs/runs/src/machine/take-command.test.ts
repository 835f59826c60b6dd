/** A table says what each command does to each life of a sync. */
import type { Command, RunEvent } from '@sluice/contracts/records'
import {
  ENDED,
  QUEUED,
  RUNNING,
  HELD,
  HELD_ELSEWHERE,
  IDLE,
  AT_WORK,
  own,
  inWords,
} from '@sluice/testkit/sample-lives'
import { describe, expect, it } from 'vitest'
import { findRuns } from './find-runs.ts'
import type { RunState } from './run-events.ts'
import { step } from './step.ts'
import type { AtWork, Asked, Fact, SyncLife } from './sync-life.ts'

it('of a reset that ends a deletion takes no sync away that was made again since', () => {
  const reset = { id: 'RESET', kind: 'reset', cause: 'reset', sync: 's', run: 'gone' } as const
  const asked = {
    kind: 'asked',
    command: { ...reset, at: 1, scope: null },
    offset: 9,
    partitions: 1,
  } as const
  const toldTo = (incarnation: string): string => inWords(step(IDLE, { ...asked, incarnation, at: 15 }))
  expect([toldTo('gone'), toldTo('anew')]).toEqual([
    expect.stringContaining('RESET queued'),
    expect.stringContaining('RESET failed'),
  ])
})

describe('a command', () => {
  const ANEW: RunState = { ...QUEUED, runId: 'ANEW' }
  const OTHER: RunState = { ...QUEUED, runId: 'OTHER', command: 3 }
  const AWAITING: RunState = { ...RUNNING, runId: 'HELD', status: 'held', held: HELD }
  const ended = (status: 'success' | 'held'): AtWork => ({ ...AT_WORK.done, run: { ...RUNNING, status } })
  const lives: { readonly [what: string]: SyncLife } = {
    nothing: IDLE,
    'a queued run': { ...IDLE, queued: [OTHER] },
    'a queued discard': { ...IDLE, queued: [{ ...OTHER, cause: 'discard' }] },
    'a run that awaits approval': { ...IDLE, awaiting: AWAITING },
    'a run whose destination changed': { ...IDLE, awaiting: { ...AWAITING, held: HELD_ELSEWHERE } },
    'a run that awaits approval, and a queued one': { ...IDLE, awaiting: AWAITING, queued: [OTHER] },
    'a taken run': { ...IDLE, atWork: AT_WORK.taken },
    'a run at work': { ...IDLE, atWork: AT_WORK.detecting },
    'a run at work, and a queued one': { ...IDLE, atWork: AT_WORK.delivering, queued: [OTHER] },
    'a run that is being cancelled': {
      ...IDLE,
      atWork: { ...AT_WORK.detecting, run: { ...RUNNING, cancelling: true } },
    },
    'a run whose end is being written': { ...IDLE, atWork: ended('success') },
    'a run whose wait is being written': {
      ...IDLE,
      atWork: ended('held'),
      awaiting: { ...RUNNING, status: 'held' },
    },
    'an interrupted run': { ...IDLE, atWork: AT_WORK.closing },
    'an interrupted run of a process that is gone': {
      ...IDLE,
      atWork: { ...AT_WORK.closing, isProcessGone: true },
    },
    'an interrupted run, and one in its place': { ...IDLE, atWork: AT_WORK.closing, queued: [ANEW] },
    'an interrupted run, and another one': { ...IDLE, atWork: AT_WORK.closing, queued: [OTHER] },
    'a run of a sync that was suspended while it published': {
      ...IDLE,
      atWork: { ...AT_WORK.interrupted, run: { ...RUNNING, status: 'failed', endedAt: 12 } },
    },
  }
  const commands: { readonly [what: string]: Partial<Command> } = {
    run: { kind: 'run', id: 'ASKED' },
    resync: { kind: 'run', id: 'ASKED', cause: 'resync', scope: { as: 'added', key: null, status: null } },
    'cancel RUN': { kind: 'cancel', run: 'RUN' },
    'cancel OTHER': { kind: 'cancel', run: 'OTHER' },
    'cancel ANEW': { kind: 'cancel', run: 'ANEW' },
    'cancel HELD': { kind: 'cancel', run: 'HELD' },
    'approve HELD': { kind: 'approve', run: 'HELD' },
    'approve RUN': { kind: 'approve', run: 'RUN' },
    'approve HELD, same': { kind: 'approve', run: 'HELD', destination: 'same' },
    'approve HELD, new': { kind: 'approve', run: 'HELD', destination: 'new', id: 'RESET' },
    reset: { kind: 'reset', id: 'RESET', cause: 'reset' },
  }
  /** The effects of a command on each life; where no line names it, nothing is written. */
  const COMMANDS = `
run → nothing: ASKED queued
run → a queued run: ASKED cancelled
run → a queued discard: ASKED queued
run → a run that awaits approval: ASKED queued
run → a run whose destination changed: ASKED queued
run → a run that awaits approval, and a queued one: ASKED cancelled
run → a taken run: ASKED queued
run → a run at work: ASKED queued
run → a run at work, and a queued one: ASKED cancelled
run → a run that is being cancelled: ASKED queued
run → a run whose end is being written: ASKED queued
run → a run whose wait is being written: ASKED queued
run → an interrupted run: ASKED queued
run → an interrupted run of a process that is gone: ASKED queued
run → an interrupted run, and one in its place: ANEW queued + ASKED cancelled
run → an interrupted run, and another one: ASKED cancelled
run → a run of a sync that was suspended while it published: ASKED queued

resync → nothing: ASKED queued
resync → a queued run: ASKED queued
resync → a queued discard: ASKED queued
resync → a run that awaits approval: ASKED queued
resync → a run whose destination changed: ASKED queued
resync → a run that awaits approval, and a queued one: ASKED queued
resync → a taken run: ASKED queued
resync → a run at work: ASKED queued
resync → a run at work, and a queued one: ASKED queued
resync → a run that is being cancelled: ASKED queued
resync → a run whose end is being written: ASKED queued
resync → a run whose wait is being written: ASKED queued
resync → an interrupted run: ASKED queued
resync → an interrupted run of a process that is gone: ASKED queued
resync → an interrupted run, and one in its place: ASKED queued
resync → an interrupted run, and another one: ASKED queued
resync → a run of a sync that was suspended while it published: ASKED queued

cancel RUN → a taken run: stop the work + RUN queued, cancelling
cancel RUN → a run at work: stop the work + RUN running, cancelling
cancel RUN → a run at work, and a queued one: stop the work + RUN running, cancelling
cancel RUN → a run whose end is being written: stop the work
cancel RUN → a run whose wait is being written: stop the work + RUN cancelled
cancel RUN → an interrupted run: stop the work + RUN running, cancelling
cancel RUN → an interrupted run of a process that is gone: stop the work + RUN running, cancelling
cancel RUN → an interrupted run, and one in its place: stop the work + RUN running, cancelling + ANEW cancelled
cancel RUN → an interrupted run, and another one: stop the work + RUN running, cancelling
cancel RUN → a run of a sync that was suspended while it published: stop the work
cancel OTHER → a queued run: OTHER cancelled
cancel OTHER → a queued discard: OTHER cancelled
cancel OTHER → a run that awaits approval, and a queued one: OTHER cancelled
cancel OTHER → a run at work, and a queued one: OTHER cancelled
cancel OTHER → an interrupted run, and another one: OTHER cancelled
cancel ANEW → an interrupted run, and one in its place: ANEW cancelled
cancel HELD → a run that awaits approval: HELD cancelled
cancel HELD → a run whose destination changed: HELD cancelled
cancel HELD → a run that awaits approval, and a queued one: HELD cancelled

approve HELD → a run that awaits approval: HELD queued
approve RUN → a run whose wait is being written: RUN queued
approve HELD, same → a run whose destination changed: HELD queued
approve HELD, new → a run whose destination changed: RESET queued

reset → nothing: RESET queued
reset → a queued run: RESET failed
reset → a queued discard: RESET failed
reset → a run that awaits approval: RESET queued
reset → a run whose destination changed: RESET queued
reset → a run that awaits approval, and a queued one: RESET failed
reset → a taken run: RESET failed
reset → a run at work: RESET failed
reset → a run at work, and a queued one: RESET failed
reset → a run that is being cancelled: RESET failed
reset → a run whose end is being written: RESET queued
reset → a run whose wait is being written: RESET queued
reset → an interrupted run: RESET failed
reset → an interrupted run of a process that is gone: RESET failed
reset → an interrupted run, and one in its place: RESET failed
reset → an interrupted run, and another one: RESET failed
reset → a run of a sync that was suspended while it published: RESET queued
`
  const lines = new Map(
    COMMANDS.trim()
      .split('\n')
      .filter(line => line !== '')
      .map(line => /^(.+ → .+): (.+)$/.exec(line) ?? [])
      .map(([, pair = '', events = '']) => [pair, events] as const),
  )
  const pairs = Object.keys(commands).flatMap(command =>
    Object.keys(lives).map(life => [command, life] as const),
  )

  function asked(of: Partial<Command>, offset = 9): Asked {
    const none = { id: 'c', kind: 'run', sync: 's', cause: 'manual', run: null, at: 15, scope: null } as const
    return { kind: 'asked', command: { ...none, ...of }, offset, partitions: 2, at: 20 }
  }

  it.each(pairs)('%s → %s', (command, what) => {
    const life = lives[what] ?? IDLE
    const done = step(life, asked(commands[command] ?? {}))
    const [phase, events, next] = inWords(done).split('; ')
    expect(events).toBe(lines.get(`${command} → ${what}`) ?? '')
    // No command moves the run at work on, and each is taken.
    expect([phase, next]).toEqual([life.atWork?.phase ?? 'none', 'go-on'])
    expect(done.life.lastCommand).toBe(9)
  })

  it('has no line for anything that is not tried', () => {
    const known = new Set(pairs.map(pair => pair.join(' → ')))
    expect([...lines.keys()].filter(line => !known.has(line))).toEqual([])
  })

  it('is passed over where it is taken already', () => {
    for (const life of Object.values(lives))
      for (const command of Object.values(commands)) {
        const done = step(life, asked(command, life.lastCommand))
        expect([done.life, done.events]).toEqual([life, []])
      }
  })

  it('has to wait for the next incarnation after a reset, queued or at work', () => {
    const reset = { ...QUEUED, cause: 'reset' } as const
    for (const command of Object.values(commands)) {
      expect(() => step({ ...IDLE, queued: [reset] }, asked(command))).toThrow('came after a reset')
      const atWork = own('taken', reset)
      expect(() => step({ ...IDLE, atWork }, asked(command))).toThrow('came after a reset')
    }
  })

  it('that is refused says why, and what to do', () => {
    const errorOf = (what: string, command: string): string | null | undefined =>
      step(lives[what] ?? IDLE, asked(commands[command] ?? {})).events.at(-1)?.error
    expect(errorOf('a queued run', 'run')).toBe('run OTHER is queued already and will see the same rows')
    const many = Array.from({ length: 10 }, (_, n) => ({ ...OTHER, runId: `${n}`, cause: 'replay' }) as const)
    const refused = step({ ...IDLE, queued: many }, asked(commands['run'] ?? {}))
    expect(refused.events).toMatchObject([
      { status: 'cancelled', error: '10 runs are queued already: ask again once one of them has ended' },
    ])
    expect(errorOf('a run at work', 'reset')).toBe(
      'run RUN is running: wait for its end, or end it with `sluice cancel RUN`',
    )
    const busy = lives['a run at work'] ?? IDLE
    const stream = { since: 0, comparing: null, read: 0, unreadable: 0, lagRecords: null, lagMs: null }
    const told = { ...stream, committedAt: null, minutes: [] }
    const streaming = busy.atWork && { ...busy.atWork, run: { ...busy.atWork.run, stream: told } }
    expect(step({ ...busy, atWork: streaming }, asked(commands['reset'] ?? {})).events.at(-1)?.error).toBe(
      'the sync streams: set `paused: true` and `sluice apply` first, which ends its run',
    )
    const left = streaming && { ...streaming, isInterrupted: true, isProcessGone: true }
    expect(step({ ...busy, atWork: left }, asked(commands['reset'] ?? {})).events.at(-1)?.error).toBe(
      'run RUN was interrupted, and has not come to its end: end it with `sluice cancel RUN`',
    )
    expect(errorOf('an interrupted run of a process that is gone', 'reset')).toContain(
      'finish it with `sluice run s`',
    )
  })

  it('that approves a destination makes the state its own, and approves no removals', () => {
    const life = lives['a run whose destination changed'] ?? IDLE
    const { life: after, events } = step(life, asked(commands['approve HELD, same'] ?? {}))
    expect(after.deliveredTo).toEqual({ url: 'https://elsewhere.test', accounts: {}, change: 2 })
    expect(events).toMatchObject([{ runId: 'HELD', approved: null, deliveredTo: after.deliveredTo }])
  })

  it('to run makes the replacement of an interrupted run its own, so that a cancel of the interrupted one leaves it', () => {
    const life = lives['an interrupted run, and one in its place'] ?? IDLE
    const joined = step(life, asked(commands['run'] ?? {}))
    const cancelled = step(joined.life, asked(commands['cancel RUN'] ?? {}, 10))
    expect(cancelled.life.queued).toMatchObject([{ runId: 'ANEW', command: 9 }])
  })

  it.each([
    ['nothing', 7, 7],
    ['a taken run', 6, 6],
    ['a run at work', 6, 6],
    ['a run at work, and a queued one', 6, 7],
    ['a run whose end is being written', 7, 7],
    ['a run whose wait is being written', 7, 7],
    ['an interrupted run', 6, 7],
    // Delivery sends the rest of it only now.
    ['a run of a sync that was suspended while it published', 6, 7],
  ])('to retry, discard or resync is about runs that were over: with %s up to %i, and %i', (...of) => {
    const [what, retried, resynced] = of
    const upTo = (cause: Command['cause']): number | null | undefined =>
      step(lives[what] ?? IDLE, asked({ id: 'ASKED', cause })).events[0]?.upTo
    expect([upTo('retry'), upTo('discard'), upTo('resync')]).toEqual([retried, retried, resynced])
    expect([upTo('manual'), upTo('replay')]).not.toContain(7)
  })

  it('to decide about a group includes a run at work, and no retry at work if it retries', () => {
    const upTo = (cause: Command['cause'], what: string, atWork: Partial<RunState> = {}) => {
      const scope = { as: null, key: null, status: 0, group: '3f2a91c07b1e.4000-3' }
      const life = lives[what] ?? IDLE
      const run = life.atWork && { ...life.atWork, run: { ...life.atWork.run, ...atWork } }
      return step({ ...life, atWork: run }, asked({ id: 'ASKED', cause, scope })).events[0]?.upTo
    }
    expect([upTo('retry', 'nothing'), upTo('discard', 'nothing')]).toEqual([7, 7])
    expect([upTo('retry', 'a run at work'), upTo('discard', 'a run at work')]).toEqual([7, 7])
    const retries = { cause: 'retry' } as const
    expect(upTo('retry', 'a run at work', retries)).toBe(6)
    expect(upTo('discard', 'a run at work', retries)).toBe(7)
  })

  it('to run behind a reset for another destination sends every row, but only into an empty state', () => {
    const scope = { as: 'added', key: null, status: null } as const
    const command = { id: 'ASKED', cause: 'resync', scope, destination: 'new' } as const
    const queuedIn = (life: SyncLife) => step(life, asked(command)).events[0]
    expect(queuedIn({ ...IDLE, first: true, lastRun: 0 })).toMatchObject({ cause: 'resync', scope, upTo: 0 })
    // The approval did nothing, since somebody else had answered.
    expect(queuedIn({ ...IDLE, first: false })).toMatchObject({ cause: 'manual', scope: null, upTo: null })
    expect(queuedIn({ ...IDLE, awaiting: AWAITING })).toMatchObject({ cause: 'manual' })
  })

  it('to retry is about no other decision behind an approved run, whoever takes the runs up', () => {
    const events = new Map<string, RunEvent>()
    const tell = (life: SyncLife, fact: Fact): SyncLife => {
      const done = step(life, fact)
      for (const run of done.events) events.set(run.runId, { ...run, sync: 's', incarnation: 'i', marker: 0 })
      return done.life
    }
    const found = (): SyncLife => findRuns({ events }, 's', [{ ...ENDED, run: 6 }])
    const of = { sync: 's', incarnation: 'i', marker: 0 }
    events.set('HELD', { ...AWAITING, ...of })
    let life = tell(found(), asked({ kind: 'approve', run: 'HELD' }, 6))
    expect(found().lastRun).toBe(life.lastRun)
    life = tell(life, { kind: 'idle', at: 21 })
    life = tell(life, asked({ id: 'ONE', cause: 'retry', scope: { key: 'k', status: null, as: null } }, 7))
    tell(life, asked({ id: 'TWO', cause: 'retry', scope: { key: null, status: 500, as: null } }, 8))
    // The process dies before the approved run has begun.
    const taken = tell(found(), { kind: 'idle', at: 22 }).atWork?.run
    expect(taken).toMatchObject({ runId: 'ONE', run: 7, upTo: 6 })
    expect(events.get('TWO')).toMatchObject({ upTo: 6 })
  })

  it('to cancel the replacement of an interrupted run counts until that run has ended', () => {
    const life = lives['an interrupted run, and one in its place'] ?? IDLE
    expect(step(life, asked(commands['cancel ANEW'] ?? {})).life.replacementCancelled).toBe(true)
    const other = lives['an interrupted run, and another one'] ?? IDLE
    expect(step(other, asked(commands['cancel OTHER'] ?? {})).life.replacementCancelled).toBe(false)
  })
})

describe('a decision about the rows of a stream', () => {
  const asked = (cause: 'retry' | 'discard' | 'resync', heard: readonly number[] | null) => {
    const command: Command = { id: 'ASKED', kind: 'run', sync: 's', cause, run: null, at: 15, scope: null }
    return { kind: 'asked', command, offset: 9, partitions: 2, heard, at: 15 } as const
  }
  const bound = (life: SyncLife, fact: ReturnType<typeof asked>) => {
    const [run] = step(life, fact).events
    return [run?.upTo, run?.upToSlices]
  }
  const life = { ...IDLE, lastRun: 7, atWork: AT_WORK.publishing }

  it('is about the slices that had come to their ends, also in the run at work', () => {
    expect(bound(life, asked('discard', [4, 6]))).toEqual([7, [4, 6]])
    expect(bound(life, asked('retry', [4, 6]))).toEqual([7, [4, 6]])
    expect(bound(life, asked('retry', null))).toEqual([6, null])
  })

  it('is about all of the run at work if it is a resync', () => {
    expect(bound(life, asked('resync', [4, 6]))).toEqual([7, null])
  })
})
