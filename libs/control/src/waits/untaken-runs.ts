/**
 * The runs that this process asked for, and that no change-detector has taken up yet. Only this process knows
 * them, since they have no event.
 */
import type { Command, RunEvent } from '@sluice/contracts/records'
import type { SyncRuns } from '@sluice/runs/runs-view'
import { queuedRun } from '@sluice/runs/machine/run-events'

const NONE: SyncRuns['events'] = new Map()

export class UntakenRuns {
  readonly #events = new Map<string, RunEvent>()

  /** Remembers the run of a command until it is disposed. */
  remember({ id, sync, cause, scope, at }: Command): Disposable & { readonly event: RunEvent } {
    const run = queuedRun({ runId: id, cause, scope: scope ?? null, command: -1, partitions: 0, at })
    const event = { ...run, sync, incarnation: '', marker: -1 }
    this.#events.set(id, event)
    return { event, [Symbol.dispose]: () => void this.#events.delete(id) }
  }

  of(runId: string): RunEvent | undefined {
    return this.#events.get(runId.toUpperCase())
  }

  /** The runs of a sync, together with those that no detector has taken up. */
  beside(sync: string, runs: SyncRuns | undefined): SyncRuns | undefined {
    const own = [...this.#events.values()].filter(event => event.sync === sync)
    const untaken = own.filter(({ runId }) => runs?.events.has(runId) !== true)
    if (untaken.length === 0) return runs
    const known = runs ?? { sync, incarnation: '', marker: -1, events: NONE, reports: new Map() }
    return {
      ...known,
      events: new Map([...known.events, ...untaken.map(event => [event.runId, event] as const)]),
    }
  }

  besideAll(all: Iterable<SyncRuns>): readonly SyncRuns[] {
    const known = [...all]
    if (this.#events.size === 0) return known
    const bySync = new Map(known.map(runs => [runs.sync, runs]))
    const syncs = new Set([...bySync.keys(), ...[...this.#events.values()].map(({ sync }) => sync)])
    return [...syncs].flatMap(sync => this.beside(sync, bySync.get(sync)) ?? [])
  }
}
