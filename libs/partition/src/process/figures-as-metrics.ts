/** The figures of the stages as metrics of the process. */
import { attemptOutcome } from '@sluice/contracts/api'
import type { RunStatus } from '@sluice/contracts/records'
import type { Metrics } from '@sluice/runtime/metrics'
import type { Figures } from '../figures.ts'
import { RecentMap } from '@sluice/flow/recent-map'

const LEASE_WAIT_BUCKETS_S = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60]
const RUN_BUCKETS_S = [1, 5, 20, 60, 300, 1_200, 3_600, 14_400, 86_400]

/** Most syncs that are shown: those that were counted last. */
const SYNCS_SHOWN = 2_000

const ENDED = ['success', 'warning', 'failed', 'cancelled'] as const satisfies readonly RunStatus[]

/** Registers them; once per process. */
export function figuresAsMetrics(metrics: Metrics, syncsShown = SYNCS_SHOWN): Figures {
  const { takeovers, changes, rendered, attempts, inFlight, leaseWaits, runs, durations, info } =
    workMetrics(metrics)
  const { setAside, parked } = gaugesOfTrouble(metrics)
  const backlogs = new Backlogs(metrics)
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
    // A counter that appears at 1 has not risen, as Prometheus sees it. So each begins at 0.
    known(sync) {
      for (const status of ENDED) runs.add(0, of(runs, `runs ${status}`, { sync, status }))
    },
    takenOver(stage, sync) {
      takeovers.add(1, of(takeovers, `takeovers ${stage}`, { stage, sync }))
      if (stage === 'attempts')
        for (const outcome of attemptOutcome.options)
          attempts.add(0, of(attempts, `attempts ${outcome}`, { sync, outcome }))
    },
    published: (sync, op, count) => changes.add(count, of(changes, `changes ${op}`, { sync, op })),
    rendered: (sync, trigger, result) =>
      rendered.add(1, of(rendered, `rendered ${trigger} ${result}`, { sync, trigger, result })),
    attempted: (sync, outcome, count) =>
      attempts.add(count, of(attempts, `attempts ${outcome}`, { sync, outcome })),
    inFlight(sync, change) {
      const now = (flying.get(sync) ?? 0) + change
      if (now === 0) flying.delete(sync)
      else flying.set(sync, now)
      inFlight.set(now, of(inFlight, 'in flight', { sync }))
    },
    leaseWaited: (sync, ms) => leaseWaits.observe(ms / 1000, of(leaseWaits, 'lease waits', { sync })),
    ended(sync, status, ms) {
      runs.add(1, of(runs, `runs ${status}`, { sync, status }))
      if (ms !== null) durations.observe(ms / 1000, of(durations, `durations ${status}`, { sync, status }))
    },
    sends: (sync, destination) => info.set(1, of(info, `sends ${destination}`, { sync, destination })),
    backlog: (sync, partition, left) => backlogs.set(sync, partition, left),
    tokenAsked: tokenFigure(metrics),
    breaker: breakerFigure(metrics),
    setAside: (stage, sync, places) => setAside.set(places, of(setAside, `aside ${stage}`, { stage, sync })),
    parked: (sync, deaths) => parked.set(deaths, of(parked, 'parked', { sync })),
  }
}

/** What the stages count of their work. */
function workMetrics(metrics: Metrics) {
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
  const durations = metrics.histogram({
    name: 'run_duration_seconds',
    help: 'How long runs took, from their beginning to their end',
    labels: ['sync', 'status'],
    buckets: RUN_BUCKETS_S,
  })
  const info = metrics.gauge({
    name: 'sync_info',
    help: 'The destination that a sync sends to; always 1, to be joined with other figures of the sync',
    labels: ['sync', 'destination'],
  })
  return { takeovers, changes, rendered, attempts, inFlight, leaseWaits, runs, durations, info }
}

/** What is left to deliver, summed over the partitions that this process works on. */
class Backlogs {
  readonly #left = new Map<string, Map<number, { readonly requests: number; readonly oldestMs: number }>>()
  readonly #requests: ReturnType<typeof backlogGauges>['requests']
  readonly #oldest: ReturnType<typeof backlogGauges>['oldest']

  constructor(metrics: Metrics) {
    const { requests, oldest } = backlogGauges(metrics)
    this.#requests = requests
    this.#oldest = oldest
  }

  /** A sync that this process does not work on is not shown. */
  set(
    sync: string,
    partition: number,
    left: { readonly requests: number; readonly oldestMs: number } | null,
  ): void {
    const ofSync = this.#left.get(sync) ?? new Map<number, { requests: number; oldestMs: number }>()
    if (left === null) ofSync.delete(partition)
    else ofSync.set(partition, left)
    if (ofSync.size === 0) {
      this.#left.delete(sync)
      this.#requests.remove({ sync })
      this.#oldest.remove({ sync })
      return
    }
    this.#left.set(sync, ofSync)
    const all = [...ofSync.values()]
    this.#requests.set(
      all.reduce((sum, { requests }) => sum + requests, 0),
      { sync },
    )
    this.#oldest.set(Math.max(...all.map(({ oldestMs }) => oldestMs)) / 1000, { sync })
  }
}

function backlogGauges(metrics: Metrics) {
  const requests = metrics.gauge({
    name: 'backlog_requests',
    help: 'Records of requests that are not delivered yet, of the partitions that this process works on',
    labels: ['sync'],
  })
  const oldest = metrics.gauge({
    name: 'backlog_oldest_seconds',
    help: 'How long ago the oldest request was rendered that is not delivered yet',
    labels: ['sync'],
  })
  return { requests, oldest }
}

function tokenFigure(metrics: Metrics): Figures['tokenAsked'] {
  const asked = metrics.counter({
    name: 'token_requests_total',
    help: 'Access tokens that this process asked for, by what came of it',
    labels: ['destination', 'result'],
  })
  return (destination, result) => {
    for (const each of ['granted', 'refused'])
      asked.add(each === result ? 1 : 0, { destination, result: each })
  }
}

/** Gauges of syncs that something is wrong with. */
function gaugesOfTrouble(metrics: Metrics) {
  const setAside = metrics.gauge({
    name: 'set_aside',
    help: 'Partitions of a sync that cannot be worked on, by stage; they are tried again, and other syncs go on',
    labels: ['stage', 'sync'],
  })
  const parked = metrics.gauge({
    name: 'parked',
    help: 'Processes that died in a row at work on a sync, whose schedule pauses therefore',
    labels: ['sync'],
  })
  return { setAside, parked }
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
