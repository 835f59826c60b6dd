/** The syncs that need a person's attention, and why. */
import type { RunView } from '@sluice/contracts/api'
import { causeText } from '../runs/first-cause.tsx'
import { isBad } from '../runs/run-state.tsx'
import { totalsOf } from '../runs/totals.ts'
import { count, rows, waitInWords } from '../ui/format.ts'
import type { SyncView } from './at-a-glance.ts'

export interface Need {
  readonly sync: SyncView
  /** The reason, for people. */
  readonly need: string
  readonly run: RunView | null
  /** True if the sync counts as failing. */
  readonly isBad: boolean
}

/** Failing syncs come first, then refused runs, then runs that wait for a decision. */
export function needsIn(syncs: readonly SyncView[]): readonly Need[] {
  const needs = syncs.flatMap(sync => {
    const need = needOf(sync)
    return need === null
      ? []
      : [{ sync, need, run: sync.lastRun, isBad: sync.lastRun !== null && isBad(sync.lastRun) }]
  })
  return needs.sort((one, other) => rankOf(one) - rankOf(other))
}

function rankOf({ isBad: isFailing, sync: { refused }, run }: Need): number {
  if (isFailing) return 0
  if (refused !== undefined) return 1
  return run?.status === 'held' ? 2 : 3
}

/** Waits that do not end by themselves. */
const NEED_PEOPLE: ReadonlySet<string> = new Set(['secret', 'token', 'breaker'])

/** Why a sync needs attention. Null if it does not. */
function needOf(sync: SyncView): string | null {
  const { lastRun, refused } = sync
  if (refused !== undefined && !isOlder(refused.at, lastRun))
    return `A run ${refused.by === null ? '' : `of ${refused.by} `}was refused: ${refused.error}`
  if (lastRun === null) return null
  const need = needOfRun(sync, lastRun)
  const { firstError } = lastRun
  return need === null || firstError === undefined || need.includes(causeText(firstError))
    ? need
    : `${need} First cause: ${causeText(firstError)}`
}

/** True if somebody started a run later. */
function isOlder(at: string, lastRun: RunView | null): boolean {
  return lastRun !== null && (lastRun.startedAt ?? '') > at
}

function needOfRun({ waiting, rows: open }: SyncView, run: RunView): string | null {
  const { status, held, error, failing = false } = run
  const wait = waiting.find(({ kind }) => NEED_PEOPLE.has(kind))
  if (wait !== undefined) return `${waitInWords(wait)}.`
  if (status === 'held')
    return held === undefined
      ? 'A run waits for approval.'
      : held.destination !== undefined
        ? `${rows(held.rows)} went to another destination, and a run waits for approval: ${held.destination.why}.`
        : `A run would remove ${count(held.removed)} of ${rows(held.rows)}, and waits for approval.`
  if (status === 'failed') return error ?? 'The last run failed.'
  const { failed } = totalsOf(run)
  if (status === 'running') return failing ? `Nothing of a run arrives: ${rows(failed)} failed so far.` : null
  if (status === 'cancelled' && failed > 0)
    return `A run was cancelled, and ${rows(failed)} ${failed === 1 ? 'was' : 'were'} not delivered.`
  if (status === 'warning')
    return failed === 0
      ? 'Rows of the model are invalid.'
      : `${failing ? 'Nothing was delivered: ' : ''}${rows(failed)} ${failed === 1 ? 'was' : 'were'} not delivered.`
  if (open.heldBack > 0)
    return `${rows(open.heldBack)} ${open.heldBack === 1 ? 'waits' : 'wait'} for somebody to decide.`
  return null
}
