/** The state of a run as people need it: a run of which nothing arrives is failing, whatever its status. */
import type { RunView } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { Badge, RunStatus } from '../ui/status.tsx'

export type Stated = Pick<RunView, 'status' | 'failing'>

/** True for a run that failed as a whole, or that delivers nothing. */
export function isBad({ status, failing }: Stated): boolean {
  return status === 'failed' || failing === true
}

/** The word of its badge. */
export function stateInWords(run: Stated): string {
  return isBad(run) && run.status !== 'failed' ? 'failing' : run.status
}

export function RunState({ run }: { readonly run: Stated }): ReactElement {
  const text = stateInWords(run)
  return text === run.status ? <RunStatus status={run.status} /> : <Badge tone="bad" sign="✕" text={text} />
}
