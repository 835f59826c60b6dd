/** What becomes of a run that is asked for while another one is queued (R13). */
import type { RunCause, RunScope } from '@sluice/contracts/records'
import { isRetryOfSome, type RunState } from './run-events.ts'

/**
 * The queued run does what is asked, if it sees all rows that the asked run would see. Ordinary runs see the
 * same rows whatever their cause. A resync sees all that they see, and both see what a retry of some rows
 * sees. A resync that is asked for makes a resync of an ordinary run, and a retry a retry: it also sends rows
 * that another run may leave undecided. Anything else is refused, and `why` tells the reason.
 */
export type Joined =
  { readonly kind: 'joined'; readonly queued: RunState } | { readonly kind: 'refused'; readonly why: string }

const ORDINARY: readonly RunCause[] = ['manual', 'schedule', 'retry']

export function joinQueued(queued: RunState, asked: RunState): Joined {
  const isOrdinary = (run: RunState): boolean => ORDINARY.includes(run.cause) && !isRetryOfSome(run)
  const isLess = isOrdinary(asked) || isRetryOfSome(asked)
  if (asked.cause === 'retry' && !isRetryOfSome(asked) && isOrdinary(queued))
    return { kind: 'joined', queued: { ...queued, cause: asked.cause } }
  if (isLess && (isOrdinary(queued) || queued.cause === 'resync')) return { kind: 'joined', queued }
  if (isRetryOfSome(asked) && isRetryOfSome(queued) && meansTheSame(asked.scope, queued.scope))
    return { kind: 'joined', queued }
  if (asked.cause === 'resync' && isOrdinary(queued))
    return { kind: 'joined', queued: { ...queued, cause: asked.cause, scope: asked.scope } }
  if (asked.cause === 'resync' && queued.cause === 'resync' && asked.scope?.as === queued.scope?.as)
    return { kind: 'joined', queued }
  const why = `run ${queued.runId} (${queued.cause}) is queued, and does something else: ask again once it has ended`
  return { kind: 'refused', why }
}

function meansTheSame(a: RunScope | null, b: RunScope | null): boolean {
  return a?.key === b?.key && a?.status === b?.status
}
