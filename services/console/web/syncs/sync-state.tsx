/** The state of a sync as people need it: its own, or the state of its last run if that says more. */
import type { SyncView } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { RunState, stateInWords } from '../runs/run-state.tsx'
import { Badge } from '../ui/status.tsx'

const SUSPENDED: ReadonlySet<string> = new Set(['parked', 'set aside'])

export function stateOf({ state, lastRun }: Pick<SyncView, 'state' | 'lastRun'>): string {
  if (state === 'parked') return 'parked'
  if (state === 'set-aside') return 'set aside'
  return lastRun === null ? 'never ran' : stateInWords(lastRun)
}

export function SyncState({ sync }: { readonly sync: Pick<SyncView, 'state' | 'lastRun'> }): ReactElement {
  const text = stateOf(sync)
  if (SUSPENDED.has(text)) return <Badge tone="bad" sign="✕" text={text} />
  return sync.lastRun === null ? <span className="quiet">{text}</span> : <RunState run={sync.lastRun} />
}

/** True if the state is that of the last run, whose page says more. */
export const isOfRun = (sync: Pick<SyncView, 'state' | 'lastRun'>): boolean =>
  sync.lastRun !== null && !SUSPENDED.has(stateOf(sync))
