/**
 * The words for the states of runs and syncs, which pages and commands share. It is a file of its own, so
 * that a page loads no schema with it.
 */
import type { RunView, SyncView } from '../api.ts'

type StatedRun = Pick<RunView, 'status' | 'failing' | 'stream'>
export type RunWord = RunView['status'] | 'failing' | 'streaming'

/**
 * The word for a run: one of which nothing arrives is failing, whatever its status. One over a stream streams
 * as long as it runs.
 */
export function runInWords({ status, failing, stream }: StatedRun): RunWord {
  if (failing === true && status !== 'failed') return 'failing'
  return status === 'running' && stream !== undefined ? 'streaming' : status
}

/** The work of each phase of a run. */
export const PHASE_NAMES: {
  readonly [phase in NonNullable<RunView['phases']>[number]['phase']]: string
} = {
  detecting: 'Comparing rows',
  publishing: 'Writing changes',
  rendering: 'Rendering requests',
  sending: 'Sending requests',
  finishing: 'Finishing',
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
}: Omit<StatedSync, 'state'>): RunWord | 'refused' | 'never ran' {
  if (trouble?.run === null) return 'refused'
  if (lastRun === null) return 'never ran'
  const isFailing = lastRun.failing === true || (trouble?.isFailing === true && lastRun.status !== 'held')
  return runInWords(isFailing ? { ...lastRun, failing: true } : lastRun)
}

/** The one word for a sync: that it is suspended, or what its last run tells. */
export function syncInWords(sync: StatedSync): string {
  const state = syncStateInWords(sync.state)
  return state === SUSPENDED ? state : lastRunInWords(sync)
}
