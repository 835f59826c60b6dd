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

export function SyncState({ sync }: { readonly sync: Stated }): ReactElement {
  const text = stateOf(sync)
  if (SUSPENDED.has(text)) return <Badge tone="bad" sign="✕" text={text} />
  if (sync.lastRun === null) return <span className="quiet">{text}</span>
  return <RunState run={statedOf(sync, sync.lastRun)} />
}

/** True if the state is that of the last run, whose page says more. */
export const isOfRun = (sync: Stated): boolean => sync.lastRun !== null && !SUSPENDED.has(stateOf(sync))
