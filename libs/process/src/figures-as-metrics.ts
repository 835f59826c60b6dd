/** The figures of the stages as metrics of the process. */
import type { Metrics } from '@sluice/runtime/metrics'
import type { Figures } from '@sluice/partition/figures'
import { RecentMap } from '@sluice/flow/recent-map'

const LEASE_WAIT_BUCKETS_S = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60]

/** Most syncs that are shown: those that were counted last. */
const SYNCS_SHOWN = 2_000

/** Registers them; once per process. */
export function figuresAsMetrics(metrics: Metrics, syncsShown = SYNCS_SHOWN): Figures {
  const takeovers = metrics.counter({
    name: 'takeovers_total',
    help: 'Partitions that this process began to work on, by stage',
    labels: ['stage', 'sync'],
  })
  const changes = metrics.counter({
    name: 'changes_published_total',
    help: 'Changes that were found and published',
    labels: ['sync', 'op'],
  })
  const rendered = metrics.counter({
    name: 'requests_rendered_total',
    help: 'Requests that were rendered, and groups of rows that could not be',
    labels: ['sync', 'trigger', 'result'],
  })
  const attempts = metrics.counter({
    name: 'attempts_total',
    help: 'Tries at sending a request, by what came of them',
    labels: ['sync', 'outcome'],
  })
  const inFlight = metrics.gauge({
    name: 'requests_in_flight',
    help: 'Requests that are sent and not answered yet',
    labels: ['sync'],
  })
  const leaseWaits = metrics.histogram({
    name: 'lease_wait_seconds',
    help: 'Waits until the limits allowed a request to be sent',
    labels: ['sync'],
    buckets: LEASE_WAIT_BUCKETS_S,
  })
  const runs = metrics.counter({ name: 'runs_total', help: 'Runs that ended', labels: ['sync', 'status'] })
  const setAside = metrics.gauge({
    name: 'set_aside',
    help: 'Partitions of a sync that cannot be worked on, by stage; they are tried again, and other syncs go on',
    labels: ['stage', 'sync'],
  })
  const flying = new Map<string, number>()
  /**
   * By figure and sync, how to remove the figure. Only those of the syncs that were counted last are kept,
   * since names may come and go for ever.
   */
  const shown = new RecentMap<string, Map<string, () => void>>({
    limit: syncsShown,
    onForgotten: (_, series) => {
      for (const remove of series.values()) remove()
    },
  })
  function of<L extends { readonly sync: string }>(metric: Removable<L>, name: string, labels: L): L {
    const known = shown.get(labels.sync)
    if (known === undefined) shown.set(labels.sync, new Map([[name, () => metric.remove(labels)]]))
    else if (!known.has(name)) known.set(name, () => metric.remove(labels))
    return labels
  }
  return {
    takenOver: (stage, sync) => takeovers.add(1, of(takeovers, `takeovers ${stage}`, { stage, sync })),
    published: (sync, op, count) => changes.add(count, of(changes, `changes ${op}`, { sync, op })),
    rendered: (sync, trigger, result) =>
      rendered.add(1, of(rendered, `rendered ${trigger} ${result}`, { sync, trigger, result })),
    attempted: (sync, outcome) => attempts.add(1, of(attempts, `attempts ${outcome}`, { sync, outcome })),
    inFlight(sync, change) {
      const now = (flying.get(sync) ?? 0) + change
      if (now === 0) flying.delete(sync)
      else flying.set(sync, now)
      inFlight.set(now, of(inFlight, 'in flight', { sync }))
    },
    leaseWaited: (sync, ms) => leaseWaits.observe(ms / 1000, of(leaseWaits, 'lease waits', { sync })),
    ended: (sync, status) => runs.add(1, of(runs, `runs ${status}`, { sync, status })),
    breaker: breakerFigure(metrics),
    setAside: (stage, sync, places) => setAside.set(places, of(setAside, `aside ${stage}`, { stage, sync })),
  }
}

function breakerFigure(metrics: Metrics): Figures['breaker'] {
  const breakersOpened = metrics.counter({
    name: 'breaker_opened_total',
    help: 'How often this process found the breaker of a destination open',
    labels: [],
  })
  const openBreakers = metrics.gauge({
    name: 'breaker_open',
    help: '1 while the breaker of a destination is open, as this process last saw it; those that are closed are not shown',
    labels: ['destination'],
  })
  return (destination, isOpen) => {
    if (!isOpen) return openBreakers.remove({ destination })
    openBreakers.set(1, { destination })
    breakersOpened.add(1, {})
  }
}

interface Removable<L> {
  remove(labels: L): void
}
