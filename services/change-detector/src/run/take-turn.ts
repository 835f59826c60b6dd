/**
 * A run's turn to be compared: a process compares a few syncs at once. A run that waits for its turn says so
 * on `runs`, in the report of its first partition. No stage reports that partition before something is
 * published.
 */
import type { Wait } from '@sluice/contracts/runs/waits'
import { sleep } from '@sluice/flow/sleep'
import { reportWaits } from '@sluice/partition/report-set-aside'
import { homePartition } from '@sluice/topics/topics'
import type { Tenure } from '../sync/tenure.ts'

/** Most turns come sooner. */
const TOLD_AFTER_MS = 500
const DETAIL = 'its change-detector compares other syncs first, a few at a time'

/** Waits for a turn, which lasts until it is disposed. Rejects with the signal's reason. */
export async function takeTurn(tenure: Tenure, signal: AbortSignal): Promise<Disposable | undefined> {
  const { detections } = tenure.deps
  if (detections === undefined) return undefined
  const over = new AbortController()
  const telling = tellLate(tenure, AbortSignal.any([signal, over.signal]))
  try {
    return await detections.take({ signal })
  } finally {
    over.abort()
    if ((await telling) && !signal.aborted) await tell(tenure, [], signal)
  }
}

/** True once it is told that the run waits. */
async function tellLate(tenure: Tenure, signal: AbortSignal): Promise<boolean> {
  const since = tenure.deps.now()
  try {
    await sleep(TOLD_AFTER_MS, { signal })
  } catch {
    return false
  }
  await tell(tenure, [{ kind: 'queued', since, until: null, detail: DETAIL }], signal)
  return true
}

/** A wait that cannot be told is no reason to end a run. */
async function tell(tenure: Tenure, waits: readonly Wait[], signal: AbortSignal): Promise<void> {
  const { deps, sync, ownership } = tenure
  const { incarnation } = ownership
  try {
    // The view may not have the run yet.
    await deps.runs.caughtUp(homePartition(sync), { signal })
    await reportWaits(deps, { sync, incarnation, partition: 0, waits }, { signal })
  } catch (err) {
    if (!signal.aborted) deps.logger.warn({ sync, err }, 'people cannot be told what the run waits for')
  }
}
