/** The state of a run as people need it: a run of which nothing arrives is failing, whatever its status. */
import type { RunView, SyncView } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { Badge, RunStatus } from '../ui/status.tsx'

export type Stated = Pick<RunView, 'status' | 'failing'>

/** True for a run that failed as a whole, or that delivers nothing. */
function isBad({ status, failing }: Stated): boolean {
  return status === 'failed' || failing === true
}

/** The last run of a sync as the sync is judged: it may be failing before its newest run shows anything. */
export function statedOf(
  { trouble }: Pick<SyncView, 'trouble'>,
  { status, failing }: Stated,
): { readonly status: RunView['status']; readonly failing?: true } {
  const isFailing = failing === true || (trouble?.isFailing === true && status !== 'held')
  return isFailing ? { status, failing: true } : { status }
}

/** The word of its badge. */
export function stateInWords(run: Stated): string {
  return isBad(run) && run.status !== 'failed' ? 'failing' : run.status
}

export function RunState({ run }: { readonly run: Stated }): ReactElement {
  const text = stateInWords(run)
  return text === run.status ? <RunStatus status={run.status} /> : <Badge tone="bad" sign="✕" text={text} />
}
