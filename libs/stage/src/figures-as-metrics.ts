/** The figures of the stages as metrics of the process. */
import type { Metrics } from '@sluice/runtime/metrics'
import type { Figures } from './figures.ts'

const LEASE_WAIT_BUCKETS_S = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60]

/** Registers them; once per process. */
export function figuresAsMetrics(metrics: Metrics): Figures {
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
    help: 'Waits for leave to send within the limits',
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
  return {
    takenOver: (stage, sync) => takeovers.add(1, { stage, sync }),
    published: (sync, op, count) => changes.add(count, { sync, op }),
    rendered: (sync, trigger, result) => rendered.add(1, { sync, trigger, result }),
    attempted: (sync, outcome) => attempts.add(1, { sync, outcome }),
    inFlight(sync, change) {
      const now = (flying.get(sync) ?? 0) + change
      flying.set(sync, now)
      inFlight.set(now, { sync })
    },
    leaseWaited: (sync, ms) => leaseWaits.observe(ms / 1000, { sync }),
    ended: (sync, status) => runs.add(1, { sync, status }),
    setAside: (stage, sync, places) => setAside.set(places, { stage, sync }),
  }
}
