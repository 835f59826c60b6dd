/**
 * Goes through every life that a sync can come to, from one that never ran, by every fact that can be told
 * there, and by a takeover at any moment. What is promised holds in each: nothing is forgotten by an owner
 * that dies, one run is at work, and each run comes to its end.
 */
import type { Command, RunCause } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { FOUND, HELD, HELD_ELSEWHERE, NOTHING, TO } from '@sluice/testkit/sample-lives'
import { sampleCounts, sampleReport } from '@sluice/testkit/sample-records'
import { describe, expect, it } from 'vitest'
import { findRuns } from './find-runs.ts'
import { isReplacementOf, type RunState } from './run-events.ts'
import { PHASES_OF, step } from './step.ts'
import type { Fact, PartitionTail, SyncLife, WorkFact } from './sync-life.ts'

/** The facts known of a sync, the records in the topic of the runs, and those in `changes`. */
interface World {
  readonly life: SyncLife
  readonly events: ReadonlyMap<string, RunState>
  readonly tails: readonly PartitionTail[]
  /** The steps that led to it, for the reader of a failure. */
  readonly path: readonly string[]
}

/** There are far fewer; where there is no end of them, something in a life grows for ever. */
const MAX_WORLDS = 60_000
const ENDED: PartitionTail = { run: 0, ended: true, sealed: false, count: 1 }

function ownedBy(events: World['events'], tails: World['tails'], isProcessGone = false): SyncLife {
  const all = [...events].map(
    ([id, event]) => [id, { ...event, sync: 's', incarnation: 'i', marker: 0 }] as const,
  )
  const life = findRuns({ events: new Map(all) }, 's', tails)
  return { ...life, atWork: life.atWork && { ...life.atWork, isProcessGone } }
}

/** Returns the records in `changes` once a fact is told. */
function tailsAfter({ life, tails }: World, fact: Fact): World['tails'] {
  const run = life.atWork?.run.run ?? 0
  if (fact.kind === 'publishing') return [{ ...ENDED, run, ended: false }, ENDED]
  if (fact.kind === 'published') return [1, 2].map(() => ({ ...ENDED, run }))
  if (fact.kind === 'publishing-cancelled') return [1, 2].map(() => ({ ...ENDED, run, sealed: true }))
  if (fact.kind === 'closed') return tails.map(() => ({ ...ENDED, run, sealed: true }))
  return tails
}

function told(world: World, name: string, fact: Fact): World {
  const { life, events: written } = step(world.life, fact)
  const events = new Map(world.events)
  for (const event of written) {
    const before = events.get(event.runId)
    if (before !== undefined && isEnded(before.status))
      throw new Error(`${event.runId} goes on after its end`)
    events.set(event.runId, event)
  }
  return { life, events, tails: tailsAfter(world, fact), path: [...world.path, name] }
}

const CAUSES: readonly RunCause[] = ['manual', 'discard']

function commandsAt({ life, events }: World): readonly (readonly [string, Fact])[] {
  const { atWork, queued, awaiting, lastCommand } = life
  if ([atWork?.run, ...queued].some(run => run?.cause === 'reset')) return []
  const offset = lastCommand + 1
  const none: Command = { id: 'c', kind: 'run', sync: 's', cause: 'manual', run: null, at: 15, scope: null }
  const asked = (name: string, of: Partial<Command>): readonly [string, Fact] => [
    name,
    { kind: 'asked', command: { ...none, ...of }, offset, partitions: 2, at: 20 },
  ]
  const id = `RUN${events.size}`
  const known = [atWork?.run, ...queued, awaiting].flatMap(run =>
    run === null || run === undefined ? [] : [run.runId],
  )
  return [
    ...CAUSES.map(cause => {
      return asked(`run ${cause}`, { id, cause })
    }),
    ...[...new Set(known)].map(run => asked(`cancel ${run}`, { kind: 'cancel', run })),
    ...dueAt(life, id),
    ...(awaiting === null
      ? []
      : approvalsOf(awaiting, id).map(of => asked(`approve ${String(of.destination)}`, of))),
  ]
}

function approvalsOf({ runId: run, held }: RunState, id: string): readonly Partial<Command>[] {
  const kind = 'approve'
  if (held?.destination === undefined) return [{ kind, run }]
  return (['same', 'new'] as const).map(destination => ({ kind, run, destination, id }))
}

/** An instant of the schedule, at any time of a life, once. */
function dueAt({ fired }: SyncLife, runId: string): readonly (readonly [string, Fact])[] {
  if (fired !== null) return []
  return [['due', { kind: 'due', fired: { at: 1, by: '', next: null }, runId, partitions: 2, at: 20 }]]
}

function factsAt({ life, events, tails }: World): readonly (readonly [string, Fact])[] {
  const { atWork } = life
  if (atWork === null) return [['idle', { kind: 'idle', at: 20 }]]
  // Once a reset is at work, this life is over.
  if (atWork.run.cause === 'reset') return []
  const run = atWork.run.run ?? 0
  const reports = [0, 1].map(partition =>
    sampleReport({ run, partition, counts: { added: sampleCounts({ delivered: 1 }) } }),
  )
  const facts: readonly (readonly [string, WorkFact])[] = [
    ['inspected', { kind: 'inspected', tails }],
    ['closed', { kind: 'closed' }],
    ['begun', { kind: 'begun', definition: 'd' }],
    ['detected: nothing', { kind: 'detected', found: NOTHING, records: 0, toApprove: null, to: TO }],
    ['awaits approval', { kind: 'held', toApprove: HELD, at: 20 }],
    ['awaits approval of the destination', { kind: 'held', toApprove: HELD_ELSEWHERE, at: 20 }],
    ['detected: changes', { kind: 'detected', found: FOUND, records: 2, toApprove: null, to: TO }],
    ['publishing', { kind: 'publishing', at: 20 }],
    ['published', { kind: 'published', at: 20 }],
    ['publishing-cancelled', { kind: 'publishing-cancelled', at: 20 }],
    ['failed', { kind: 'failed', error: new Error('no such table'), at: 20 }],
    ['let go', { kind: 'let-go' }],
    ['reported', { kind: 'reported', reports, at: 20 }],
    ['replaced', { kind: 'replaced', newRunId: `RUN${events.size}`, at: 20 }],
    ['ended', { kind: 'ended', endsBefore: [], at: 20 }],
    ['released', { kind: 'released' }],
  ]
  // A run that has ended, or awaits approval, fails no more but for a bug; one that is cancelled awaits none.
  const cannot = (kind: Fact['kind']): boolean =>
    (kind === 'failed' && ['done', 'reported'].includes(atWork.phase)) ||
    (kind === 'held' && atWork.run.cancelling)
  // The cause of a run makes no difference to why it is held, and there are too many lives to try each.
  const isTried = (name: string): boolean =>
    name !== 'awaits approval of the destination' || (atWork.run.cause === 'manual' && life.fired === null)
  return facts.filter(
    ([name, { kind }]) => PHASES_OF[kind].includes(atWork.phase) && !cannot(kind) && isTried(name),
  )
}

/** An owner dies, and another one takes over. */
function takenOver(world: World): readonly World[] {
  const { events, tails, path } = world
  return [false, true].map(gone => ({
    ...world,
    life: ownedBy(events, tails, gone),
    path: [...path, gone ? 'its process is gone' : 'another owner'],
  }))
}

/** Worlds that only differ in names and numbers are one. */
function keyOf({ life, events, tails }: World): string {
  const { atWork, queued, awaiting, first, faults, replacementCancelled } = life
  const short = (run: RunState | null): unknown =>
    run && [run.cause, run.status, run.cancelling, run.error !== null, run.complete, run.first, run.approved]
  const waiting = queued.map(one => [short(one), atWork !== null && isReplacementOf(one, atWork.run)])
  const { run = null, reports = [], ...work } = atWork ?? {}
  const open = [...events.values()].filter(({ status }) => !isEnded(status)).map(({ status }) => status)
  const stands = tails.map(tail => [tail.run === run?.run, tail.ended, tail.sealed])
  const sync = [
    life.fired !== null,
    waiting.map(one => JSON.stringify(one)).toSorted(),
    short(awaiting),
    first,
    faults.length,
    replacementCancelled,
    awaiting?.held?.destination !== undefined,
  ]
  return JSON.stringify([short(run), work, reports.length, sync, open.toSorted(), stands])
}

function allWorlds(): readonly World[] {
  const start: World = {
    life: ownedBy(new Map(), [ENDED, ENDED]),
    events: new Map(),
    tails: [ENDED, ENDED],
    path: [],
  }
  const found = new Map([[keyOf(start), start]])
  for (const world of found.values()) {
    const facts = [...factsAt(world), ...commandsAt(world)]
    const next = [...facts.map(([name, fact]) => told(world, name, fact)), ...takenOver(world)]
    if (found.size > MAX_WORLDS) throw new Error(`there is no end of lives: ${world.path.join(' → ')}`)
    for (const one of next) if (!found.has(keyOf(one))) found.set(keyOf(one), one)
  }
  return [...found.values()]
}

/** Lets all go on that is under way, until nothing is. */
function settled(world: World): World {
  let now = world
  for (let steps = 0; steps < 60; steps += 1) {
    const { atWork, queued } = now.life
    if (atWork === null && queued.length === 0) return now
    if (atWork?.run.cause === 'reset') return now
    // Among the facts that may come, a run that is detected publishes.
    const facts = factsAt(now).filter(
      ([one]) => one !== 'failed' && (one !== 'replaced' || now.path.at(-1) !== one),
    )
    const first = ['publishing', 'published', 'replaced'].find(name => facts.some(([one]) => one === name))
    const [name, fact] = facts.find(([one]) => one === first) ?? facts.at(-1) ?? []
    if (name === undefined || fact === undefined) break
    now = told(now, name, fact)
  }
  throw new Error(`nothing ends: ${now.path.join(' → ')}`)
}

describe('in every life that a sync can come to', { timeout: 60_000 }, () => {
  let all: readonly World[] | undefined
  /** If going through them fails, each test says so. */
  const worlds = (): readonly World[] => (all ??= allWorlds())
  /** Paths to the first worlds for which that is not so. */
  const against = (isSo: (world: World) => boolean): readonly string[] =>
    worlds()
      .filter(world => !isSo(world))
      .slice(0, 3)
      .map(({ path }) => path.join(' → '))

  it('the next owner finds what the last one knew', () => {
    expect(worlds().length).toBeGreaterThan(10_000)
    const isFound = (world: World): boolean => {
      const { atWork, queued, awaiting } = world.life
      const found = ownedBy(world.events, world.tails)
      const open = atWork !== null && ['queued', 'running'].includes(atWork.run.status) ? atWork.run : null
      // Between its removal from the queue and its first event, a run is as good as queued.
      const isQueued = open?.status === 'queued' && !open.cancelling
      const ids = (runs: readonly RunState[]): string =>
        runs
          .map(({ runId }) => runId)
          .toSorted()
          .join()
      return (
        ids(found.queued) === ids(isQueued ? [...queued, open] : queued) &&
        found.awaiting?.runId === awaiting?.runId &&
        found.atWork?.run.runId === (isQueued ? undefined : open?.runId) &&
        found.atWork?.run.cancelling === (isQueued ? undefined : open?.cancelling) &&
        found.deaths === world.life.deaths &&
        found.deliveredTo?.url === world.life.deliveredTo?.url &&
        // An instant that is passed over, since a run awaits approval, is written with the next event.
        (found.fired?.at === world.life.fired?.at || world.path.includes('due'))
      )
    }
    expect(against(isFound)).toEqual([])
  })

  it('one run is at work, each decision and an ordinary run are queued once, and one awaits approval', () => {
    const isOneOf = (world: World): boolean => {
      const all = [...world.events.values()]
      const of = (status: string): number => all.filter(run => run.status === status).length
      return (
        of('running') <= 1 &&
        of('held') <= 1 &&
        // One more where an owner died that had taken the first of two out of the queue.
        CAUSES.every(cause => world.life.queued.filter(run => run.cause === cause).length <= 2)
      )
    }
    expect(against(isOneOf)).toEqual([])
  })

  it('each run comes to its end, or awaits approval, and one that was cancelled has not succeeded', () => {
    const comesToItsEnd = (world: World): boolean => {
      const { events } = settled(world)
      const { atWork } = world.life
      const isCancelled = atWork !== null && atWork.run.cancelling && !isEnded(atWork.run.status)
      const end = events.get(atWork?.run.runId ?? '')?.status
      if (isCancelled && end !== 'cancelled' && end !== 'failed') return false
      return [...events.values()].every(
        ({ status, cause }) => isEnded(status) || status === 'held' || cause === 'reset',
      )
    }
    expect(against(comesToItsEnd)).toEqual([])
  })
})
