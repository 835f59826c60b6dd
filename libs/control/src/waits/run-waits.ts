/** The waits of runs that delivery does not report: the queue, and services that are not at work. */
import type { RunEvent, Wait } from '@sluice/contracts/records'
import type { SyncRuns } from '@sluice/runs/runs-view'
import type { Pipeline } from '../pipeline.ts'
import { GroupsSeen, LOOK_MS } from './groups-seen.ts'
import { queueWaits, turnWaits } from './queue-waits.ts'
import { isShown, neededServices, serviceWaits } from './service-waits.ts'

export class RunWaits {
  readonly #pipeline: Pipeline
  readonly #groups: GroupsSeen

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline
    this.#groups = new GroupsSeen(pipeline)
  }

  /** Waits for the log for three seconds at most. If it does not answer, no service is among the waits. */
  async of(
    event: RunEvent,
    runs: Pick<SyncRuns, 'events' | 'reports'>,
    signal: AbortSignal,
  ): Promise<readonly Wait[]> {
    const { prefix, servicesElsewhere } = this.#pipeline
    const queued = queueWaits(event, runs)
    const starting = this.#pipeline.startWaits?.() ?? null
    // Services that have not started are not missing. Their own wait is the one that counts.
    if (starting !== null) return isShown(starting, Date.now()) ? [...queued, starting] : queued
    // Services of this process are never missing.
    const needed = servicesElsewhere ? neededServices(prefix, event, runs.reports) : []
    const groups = needed.map(({ group }) => group)
    const seen = needed.length === 0 ? null : await this.#groups.look(groups, signal)
    const all = [...queued, ...(seen === null ? [] : serviceWaits(needed, seen, Date.now()))]
    return all.length > 0 || !servicesElsewhere ? all : turnWaits(event, Date.now())
  }

  /**
   * Waits until the view of the runs has changed since `seen`, or it is time to look at the services again.
   */
  async changed(seen: number, signal: AbortSignal): Promise<void> {
    const { runs, servicesElsewhere } = this.#pipeline
    const isChanged = (): boolean => runs.changes.version !== seen
    if (!servicesElsewhere) return await runs.until(isChanged, { signal })
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new Error('it is looked at again')), LOOK_MS)
    try {
      await runs.until(isChanged, { signal: AbortSignal.any([signal, late.signal]) })
    } catch (error) {
      if (error !== late.signal.reason || !late.signal.aborted) throw error
    } finally {
      clearTimeout(timer)
    }
  }
}
