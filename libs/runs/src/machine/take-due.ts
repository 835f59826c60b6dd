/**
 * Takes an instant of the schedule (docs/RUNS.md). Only the owner does so, and it writes the event that
 * answers the instant with its own writer. So no instant starts two runs, whichever process dies.
 */
import { joinQueued, withQueued } from './join-queued.ts'
import { queuedRun } from './run-events.ts'
import { stepOf, type Due, type Step, type SyncLife } from './sync-life.ts'
import { isResetting } from './take-command.ts'

/** An instant that lies further ahead comes from a clock that was wrong. It must not silence the schedule. */
const WRONG_CLOCK_MS = 3_600_000

/** Returns how far the schedule has started runs, in ms since 1970, to an owner whose clock says `at`. */
export function firedUntil({ fired }: Pick<SyncLife, 'fired'>, at: number): number | null {
  return fired === null || fired.at > at + WRONG_CLOCK_MS ? null : fired.at
}

/** True if a run already answers the instant. */
export function isFired(life: Pick<SyncLife, 'fired'>, due: Pick<Due, 'fired' | 'at'>): boolean {
  return due.fired.at <= (firedUntil(life, due.at) ?? -Infinity)
}

/**
 * Queues a run, unless a queued run sees the same rows. While a run awaits approval, the schedule starts no
 * run: a new run would take its place before anybody could approve it.
 */
export function takeDue(life: SyncLife, due: Due): Step {
  const { queued, awaiting } = life
  const { fired } = due
  if (isFired(life, due) || isResetting(life)) return stepOf(life, [], 'go-on')
  if (queued.length === 0 && awaiting !== null) return stepOf({ ...life, fired }, [], 'go-on')
  const run = scheduledRun(due)
  const answer = { ...(joinQueued(queued, run) ?? run), fired }
  return stepOf({ ...life, fired, queued: withQueued(queued, answer) }, [answer], 'go-on')
}

/** Makes the run that an instant starts. It names no command. */
export function scheduledRun({ runId, partitions, at, fired }: Due): ReturnType<typeof queuedRun> {
  return queuedRun({ runId, cause: 'schedule', scope: null, command: -1, partitions, at, fired })
}
