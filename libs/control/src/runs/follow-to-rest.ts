/**
 * Follows a run from state to state until it has ended or waits for approval, wherever the states come from.
 */
import type { RunView } from '@sluice/contracts/api'
import { isEnded } from '@sluice/domain/run-status'
import type { FollowedRun, Following } from '../port.ts'

/**
 * Calls `onProgress` with each state before the last one. When `cancel` aborts, calls `cancelRun` with the id
 * of the run, and still waits for the end of the run. That id is `runId` until the first state, which may
 * name another run that does the work. Resolves with null if the states end before the run does.
 */
export async function followToRest(
  states: AsyncIterable<RunView>,
  {
    runId,
    cancelRun,
    following: { onProgress, cancel },
  }: {
    readonly runId: string
    readonly cancelRun: (runId: string) => void
    readonly following: Following
  },
): Promise<FollowedRun | null> {
  let id = runId
  const onCancel = (): void => cancelRun(id)
  cancel.addEventListener('abort', onCancel, { once: true })
  if (cancel.aborted) onCancel()
  try {
    for await (const view of states) {
      if (isEnded(view.status) || view.status === 'held') return { view }
      id = view.id
      onProgress(view)
    }
    return null
  } finally {
    cancel.removeEventListener('abort', onCancel)
  }
}
