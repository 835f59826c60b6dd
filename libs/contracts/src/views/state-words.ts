/**
 * The words for the states of runs and syncs, which pages and commands share. It is a file of its own, so
 * that a page loads no schema with it.
 */
import type { RunView, SyncView } from '../api.ts'

type StatedRun = Pick<RunView, 'status' | 'failing'>

/** The word for a run: one of which nothing arrives is failing, whatever its status. */
export function runInWords({ status, failing }: StatedRun): RunView['status'] | 'failing' {
  return failing === true && status !== 'failed' ? 'failing' : status
}

type StatedSync = Pick<SyncView, 'state' | 'lastRun' | 'trouble'>

/** A sync of which no process can take care, or whose schedule pauses since processes died at its runs. */
export const SUSPENDED = 'suspended'

/** The word for the state of a sync by itself, whatever its runs say. */
export function syncStateInWords(state: SyncView['state']): string {
  return state === 'parked' || state === 'set-aside' ? SUSPENDED : state
}

/**
 * The word for what the last run tells of a sync. It may be failing before its newest run shows anything. A
 * run that was refused is the last one, although it never began.
 */
export function lastRunInWords({
  lastRun,
  trouble,
}: Omit<StatedSync, 'state'>): RunView['status'] | 'failing' | 'refused' | 'never ran' {
  if (trouble?.run === null) return 'refused'
  if (lastRun === null) return 'never ran'
  const { status, failing } = lastRun
  const isFailing = failing === true || (trouble?.isFailing === true && status !== 'held')
  return runInWords(isFailing ? { status, failing: true } : { status })
}

/** The one word for a sync: that it is suspended, or what its last run tells. */
export function syncInWords(sync: StatedSync): string {
  const state = syncStateInWords(sync.state)
  return state === SUSPENDED ? state : lastRunInWords(sync)
}
