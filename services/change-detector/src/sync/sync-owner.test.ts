import type { Command } from '@sluice/contracts/records'
import { describe, expect, it } from 'vitest'
import { interruptedRun } from '@sluice/runs/machine/find-runs'
import { OldRuns } from './owned-sync.ts'
import type { SyncOwnership } from './own-sync.ts'
import { queuedRun, type RunState } from '@sluice/runs/machine/run-events'
import type { AtWork, Phase, SyncLife } from '@sluice/runs/machine/sync-life'
import type { RunnerDeps } from './runner-deps.ts'
import { SyncOwner, type WaitingCommand } from './sync-owner.ts'

const QUEUED = queuedRun({ runId: 'CUT', cause: 'manual', scope: null, command: 4, partitions: 2, at: 10 })
/** Cut before anything of it was published. */
const CUT: RunState = { ...QUEUED, status: 'running', run: 7, definition: 'd', startedAt: 11 }
const ANEW: RunState = { ...QUEUED, runId: 'ANEW' }

/** The error of an owner that gets as far as taking topics away. */
const BEYOND = new Error('beyond this test')

interface Left extends Partial<SyncLife> {
  /** The run that was left; `CUT` where nothing else is said. */
  readonly open?: RunState
  /** True for a process that stops. */
  readonly isDraining?: boolean
  /** Called with each event before it is acknowledged. */
  readonly onWrite?: (event: string, owner: SyncOwner) => Promise<void>
}

/** A owner that finds this, and its events, in order. */
function ownerOf(left: Left): {
  readonly owner: SyncOwner
  readonly events: readonly string[]
  /** The deaths that each event counts. */
  readonly deaths: readonly (number | null)[]
  /** The number of runs that have come to an end of their own. */
  readonly ended: () => number
} {
  const { onWrite, open = CUT, isDraining = false, ...of } = left
  const none = {
    first: false,
    faults: [],
    deaths: 0,
    lastEndedAt: null,
    replacementCancelled: false,
    fired: null,
    deliveredTo: null,
    queued: [],
    awaiting: null,
  }
  const alive = { deaths: 0, lastEndedAt: null }
  const found: SyncLife = {
    ...none,
    ...alive,
    lastRun: 7,
    lastCommand: 4,
    atWork: interruptedRun(open),
    ...of,
  }
  const events: string[] = []
  const deaths: (number | null)[] = []
  let ended = 0
  const log = { deleteTopics: async () => Promise.reject(BEYOND) }
  const deps = {
    newRunId: () => 'NEW',
    now: () => 20,
    logger: { info: () => undefined, warn: () => undefined },
    prefix: 'p',
    log,
    runs: { of: () => undefined },
  }
  const ownership = {
    sync: 's',
    partitions: 2,
    tails: async () => [],
    [Symbol.asyncDispose]: async () => undefined,
    writeEvent: async ({ runId, status, cancelling, approved, deaths: counted }: RunState) => {
      deaths.push(counted)
      const more = status === 'queued' && approved !== null ? `, approved of ${approved}` : ''
      events.push(`${runId} ${status}${status === 'running' && cancelling ? ', cancelling' : more}`)
      await onWrite?.(events.at(-1) ?? '', owner)
    },
  }
  const { signal } = new AbortController()
  const drain = isDraining ? AbortSignal.abort(new Error('SIGTERM')) : signal
  // Its only door is `begin`, which takes a sync over; what follows that is looked at here.
  const owner = Reflect.construct(SyncOwner, [
    deps as unknown as RunnerDeps,
    ownership as unknown as SyncOwnership,
    {
      ends: { drain, abort: signal },
      startedHere: new Set<string>(),
      oldRuns: new OldRuns(),
      onEnd: () => void (ended += 1),
    },
    found,
  ]) as SyncOwner
  return { owner, events, deaths, ended: () => ended }
}

const RUN = { id: 'ASKED', kind: 'run' } as const
const RESET = { id: 'RESET', kind: 'reset', cause: 'reset' } as const

/** Something that is asked for by now; a cancel, where nothing else is said. */
function commandOf(of: Partial<Command>, offset = 9): WaitingCommand {
  const cancel = {
    id: 'c',
    kind: 'cancel',
    sync: 's',
    cause: 'manual',
    run: null,
    at: 15,
    scope: null,
  } as const
  return { command: { ...cancel, ...of }, offset, resolve: () => undefined, reject: () => undefined }
}

function cancelOf(run: string): WaitingCommand {
  return commandOf({ run })
}

/** The events of an owner that is told this while it writes a certain event. */
async function commandedAt(
  moment: string,
  command: Partial<Command>,
  left: Left = {},
): Promise<readonly string[]> {
  const waiting: WaitingCommand[] = []
  const onWrite = async (event: string, owner: SyncOwner): Promise<void> => {
    if (event !== moment) return
    const taken = Promise.withResolvers<undefined>()
    waiting.push({ ...commandOf(command), resolve: () => taken.resolve(undefined) })
    owner.look()
    await taken.promise
  }
  const { owner, events } = ownerOf({ ...left, onWrite })
  await owner.work(waiting).catch((error: unknown) => {
    if (error !== BEYOND) throw error
  })
  return events
}

describe('a run that was cut and is cancelled', () => {
  const ends = ['CUT running, cancelling', 'ANEW cancelled', 'CUT cancelled']

  it('takes the one with it that an earlier owner queued in its place', async () => {
    const { owner, events } = ownerOf({ queued: [ANEW] })
    await owner.work([cancelOf('CUT')])
    expect(events).toEqual(ends)
  })

  it('does so where an earlier owner wrote of the cancel, and no more', async () => {
    const { owner, events } = ownerOf({ queued: [ANEW], open: { ...CUT, cancelling: true } })
    await owner.work([])
    expect(events).toEqual(ends.slice(1))
  })

  it('does so where the cancel comes while that one is being queued, or its own end is being written', async () => {
    const cancelledAt = (moment: string): Promise<readonly string[]> => commandedAt(moment, { run: 'CUT' })
    const queued = ['NEW queued', 'CUT running, cancelling', 'NEW cancelled', 'CUT cancelled']
    expect(await cancelledAt('NEW queued')).toEqual(queued)
    expect(await cancelledAt('CUT failed')).toEqual(['NEW queued', 'CUT failed', 'NEW cancelled'])
  })

  it('leaves the one that is queued in its place alone, once somebody has asked for a run', async () => {
    const { owner, events } = ownerOf({ queued: [ANEW] })
    await owner.work([commandOf(RUN, 8), cancelOf('CUT')])
    expect(events.slice(0, 4)).toEqual([
      'ANEW queued',
      'ASKED cancelled',
      'CUT running, cancelling',
      'CUT cancelled',
    ])
  })

  it('takes its approval back from a run that somebody has asked for meanwhile', async () => {
    const open = { ...CUT, approved: 3 }
    const { owner, events } = ownerOf({ open, queued: [{ ...ANEW, approved: 3 }] })
    await owner.work([commandOf(RUN, 8), cancelOf('CUT')])
    expect(events.slice(0, 5)).toEqual([
      'ANEW queued, approved of 3',
      'ASKED cancelled',
      'CUT running, cancelling',
      'ANEW queued',
      'CUT cancelled',
    ])
  })
})

describe('a run that was begun again and is cancelled while the cut one is open', () => {
  it('is not begun a third time, in the same owner or in the next', async () => {
    const same = ownerOf({ queued: [ANEW] })
    await same.owner.work([cancelOf('ANEW')])
    expect(same.events).toEqual(['ANEW cancelled', 'CUT failed'])
    const next = ownerOf({ replacementCancelled: true })
    await next.owner.work([])
    expect(next.events).toEqual(['CUT failed'])
  })
})

describe('a run that was cut', () => {
  it('has not come to its own end, so that failures of the run in its place count on', async () => {
    const replaced = ownerOf({})
    // What takes its place finds no definition here, and so comes to its end.
    await replaced.owner.work([])
    expect(replaced.events).toEqual(['NEW queued', 'CUT failed', 'NEW failed'])
    expect(replaced.ended()).toBe(1)
  })

  it('has come to its own end where no other run takes its place', async () => {
    const cancelled = ownerOf({})
    await cancelled.owner.work([cancelOf('CUT')])
    expect(cancelled.events).toEqual(['CUT running, cancelling', 'CUT cancelled'])
    expect(cancelled.ended()).toBe(1)
  })
})

describe('a process that stops in the midst of a run', () => {
  const atWork = (phase: Phase): AtWork => ({
    ...interruptedRun({ ...CUT, deaths: 3 }),
    isInterrupted: false,
    phase,
  })

  it.each<Phase>(['detecting', 'publishing'])('takes its death back while it is %s', async phase => {
    const { owner, events, deaths } = ownerOf({ atWork: atWork(phase), isDraining: true })
    await owner[Symbol.asyncDispose]()
    expect([events, deaths]).toEqual([['CUT running'], [2]])
  })

  it.each<readonly [string, Left]>([
    ['goes on with other syncs', { atWork: atWork('detecting') }],
    ['awaits reports alone', { atWork: atWork('delivering'), isDraining: true }],
  ])('writes nothing where it %s', async (_, left) => {
    const { owner, events } = ownerOf(left)
    await owner[Symbol.asyncDispose]()
    expect(events).toEqual([])
  })
})

describe('a reset', () => {
  // A run that failed by itself is not begun again.
  const open = { ...CUT, error: 'the disk is full' }

  it('is refused while a run is at work', async () => {
    const { owner, events } = ownerOf({ open })
    await owner.work([commandOf(RESET)])
    expect(events).toEqual(['RESET failed', 'CUT failed'])
  })

  it('waits for a run whose end is being written, which everybody may have read already', async () => {
    const events = await commandedAt('CUT failed', RESET, { open })
    expect(events).toEqual(['CUT failed', 'RESET queued', 'RESET queued'])
  })
})
