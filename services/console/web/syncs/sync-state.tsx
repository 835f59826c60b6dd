/** The state of a sync as people need it: its own, or the state of its last run if that says more. */
import type { SyncView } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { RunState, stateInWords, statedOf } from '../runs/run-state.tsx'
import { Badge } from '../ui/status.tsx'

type Stated = Pick<SyncView, 'state' | 'lastRun' | 'trouble'>

const SUSPENDED: ReadonlySet<string> = new Set(['parked', 'set aside'])

export function stateOf({ state, lastRun, trouble }: Stated): string {
  if (state === 'parked') return 'parked'
  if (state === 'set-aside') return 'set aside'
  return lastRun === null ? 'never ran' : stateInWords(statedOf({ trouble }, lastRun))
}

/** The words that find a sync: the one of its badge, and `failing` if the overview counts it as failing. */
export function wordsOf(sync: Stated): string {
  const state = stateOf(sync)
  return sync.trouble?.isFailing === true && state !== 'failing' ? `${state} failing` : state
}

export function SyncState({ sync }: { readonly sync: Stated }): ReactElement {
  const text = stateOf(sync)
  if (SUSPENDED.has(text)) return <Badge tone="bad" sign="✕" text={text} />
  if (sync.lastRun === null) return <span className="quiet">{text}</span>
  return <RunState run={statedOf(sync, sync.lastRun)} />
}

/** True if the state is that of the last run, whose page says more. */
export const isOfRun = (sync: Stated): boolean => sync.lastRun !== null && !SUSPENDED.has(stateOf(sync))
