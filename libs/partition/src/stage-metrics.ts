/**
 * Metrics of the stages, for operators. Counting has no effect on a stage, never waits and never fails. In a
 * process without metrics, counting does nothing.
 */
import { attemptOutcome } from '@sluice/contracts/api'
import type { RunStatus } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'
import { RecentMap } from '@sluice/flow/recent-map'
import type { Metrics } from '@sluice/runtime/metrics'
import type { StageName } from '@sluice/topics/topics'

export interface StageMetrics {
  /** A sync exists, and this process counts its runs. */
  known(sync: string): void
  /** A stage began to work on one partition of a sync, or began again after a transient failure. */
  takenOver(stage: StageName, sync: string): void
  /**
   * The records of a partition that are left to deliver, and the age of the oldest. Null: this process does
   * not work on the partition any more.
   */
  backlog(
    sync: string,
    partition: number,
    left: { readonly requests: number; readonly oldestMs: number } | null,
  ): void
  /** A run of the sync sends to this destination. */
  sends(sync: string, destination: string): void
  /** This process asked for a token at the token endpoint of a destination. */
  tokenAsked(destination: string, result: 'granted' | 'refused'): void
  /** Changes of a run are in the topic. */
  published(sync: string, op: Op, changes: number): void
  /** Rows became a request, or could not be rendered. */
  rendered(sync: string, op: Op, result: 'request' | 'unrenderable'): void
  /** Attempts with this outcome are about to be recorded. */
  attempted(sync: string, outcome: string, count: number): void
  /** `change` is added to the number of requests that were handed to sockets and have no answer yet. */
  inFlight(sync: string, change: number): void
  /** The limits let a request go out, which had waited for `ms`. */
  leaseWaited(sync: string, ms: number): void
  /** A run has ended. `ms` is how long it took; null if it never began. */
  ended(sync: string, status: RunStatus, ms: number | null): void
  /** The number of partitions of a sync that are suspended now; 1 for the whole sync, 0 for none. */
  suspended(stage: StageName, sync: string, places: number): void
  /**
   * The sync's schedule pauses, since this many processes in a row died at work on it. With 0, it does not
   * pause.
   */
  parked(sync: string, deaths: number): void
  /** How the stream of a sync stands. A stream that is not at work in this process is not shown. */
  stream(sync: string, standing: StreamStanding | 'not here'): void
  /** A stream has read entries. Entries that were read before are `repeated`. */
  streamRead(sync: string, result: StreamedResult, entries: number): void
  /** A stream compares the whole table, for this reason. */
  streamCompares(sync: string, reason: string): void
  /** This process has found the breaker of a destination open, or closed again. */
  breaker(destination: string, isOpen: boolean): void
}

export interface StreamStanding {
  /** Records that are not read. Null if the source does not tell. */
  readonly lagRecords: number | null
  /** The age of the oldest change that is not delivered. Null if nothing waits. */
  readonly lagMs: number | null
  /** Keys whose newest entry waits for an earlier change of the same key. */
  readonly held: number
  /** Keys with a change that delivery has not finished. */
  readonly inFlight: number
}
export const STREAMED_RESULTS = ['new', 'repeated', 'unreadable'] as const
export type StreamedResult = (typeof STREAMED_RESULTS)[number]

export const NO_STAGE_METRICS: StageMetrics = {
  known: () => undefined,
  takenOver: () => undefined,
  backlog: () => undefined,
  sends: () => undefined,
  tokenAsked: () => undefined,
  published: () => undefined,
  rendered: () => undefined,
  attempted: () => undefined,
  inFlight: () => undefined,
  leaseWaited: () => undefined,
  ended: () => undefined,
  suspended: () => undefined,
  parked: () => undefined,
  stream: () => undefined,
  streamRead: () => undefined,
  streamCompares: () => undefined,
  breaker: () => undefined,
}

const LEASE_WAIT_BUCKETS_S = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60]
const RUN_BUCKETS_S = [1, 5, 20, 60, 300, 1_200, 3_600, 14_400, 86_400]

/** Metrics show at most this many syncs: those that were counted last. */
const MAX_SYNCS_SHOWN = 2_000

const ENDED = ['success', 'warning', 'failed', 'cancelled'] as const satisfies readonly RunStatus[]

/** Registers the metrics. Call it once per process. */
export function createStageMetrics(metrics: Metrics, syncsShown = MAX_SYNCS_SHOWN): StageMetrics {
  const { takeovers, changes, rendered, attempts, inFlight, leaseWaits, runs, durations, info } =
    workMetrics(metrics)
  const { suspended, parked } = gaugesOfTrouble(metrics)
  const backlogs = new Backlogs(metrics)
  const flying = new Map<string, number>()
  /**
   * By sync and series, how to remove the series. Names of syncs may come and go for ever, so series of syncs
   * that were not counted lately are removed.
   */
  const shown = new RecentMap<string, Map<string, () => void>>({
    limit: syncsShown,
    onForgotten: (_, series) => {
      for (const remove of series.values()) remove()
    },
  })
  function shownUntilForgotten<L extends { readonly sync: string }>(
    metric: Removable<L>,
    name: string,
    labels: L,
  ): L {
    const known = shown.get(labels.sync)
    if (known === undefined) shown.set(labels.sync, new Map([[name, () => metric.remove(labels)]]))
    else if (!known.has(name)) known.set(name, () => metric.remove(labels))
    return labels
  }
  return {
    // A counter that appears at 1 has not risen, as Prometheus sees it. So each begins at 0.
    known(sync) {
      for (const status of ENDED) runs.add(0, shownUntilForgotten(runs, `runs ${status}`, { sync, status }))
    },
    takenOver(stage, sync) {
      takeovers.add(1, shownUntilForgotten(takeovers, `takeovers ${stage}`, { stage, sync }))
      if (stage === 'attempts')
        for (const outcome of attemptOutcome.options)
          attempts.add(0, shownUntilForgotten(attempts, `attempts ${outcome}`, { sync, outcome }))
    },
    published: (sync, op, count) =>
      changes.add(count, shownUntilForgotten(changes, `changes ${op}`, { sync, op })),
    rendered: (sync, trigger, result) =>
      rendered.add(
        1,
        shownUntilForgotten(rendered, `rendered ${trigger} ${result}`, { sync, trigger, result }),
      ),
    attempted: (sync, outcome, count) =>
      attempts.add(count, shownUntilForgotten(attempts, `attempts ${outcome}`, { sync, outcome })),
    inFlight(sync, change) {
      const now = (flying.get(sync) ?? 0) + change
      if (now === 0) flying.delete(sync)
      else flying.set(sync, now)
      inFlight.set(now, shownUntilForgotten(inFlight, 'in flight', { sync }))
    },
    leaseWaited: (sync, ms) =>
      leaseWaits.observe(ms / 1000, shownUntilForgotten(leaseWaits, 'lease waits', { sync })),
    ended(sync, status, ms) {
      runs.add(1, shownUntilForgotten(runs, `runs ${status}`, { sync, status }))
      if (ms !== null)
        durations.observe(ms / 1000, shownUntilForgotten(durations, `durations ${status}`, { sync, status }))
    },
    sends: (sync, destination) =>
      info.set(1, shownUntilForgotten(info, `sends ${destination}`, { sync, destination })),
    backlog: (sync, partition, left) => backlogs.set(sync, partition, left),
    tokenAsked: tokenCounter(metrics),
    breaker: breakerMetrics(metrics),
    stream: streamGauges(metrics),
    ...streamCounters(metrics, shownUntilForgotten),
    suspended: (stage, sync, places) =>
      suspended.set(places, shownUntilForgotten(suspended, `suspended ${stage}`, { stage, sync })),
    parked: (sync, deaths) => parked.set(deaths, shownUntilForgotten(parked, 'parked', { sync })),
  }
}

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
    help: 'Attempts to send a request, by outcome',
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
    help: 'The destination that a sync sends to; always 1, to be joined with other metrics of the sync',
    labels: ['sync', 'destination'],
  })
  return { takeovers, changes, rendered, attempts, inFlight, leaseWaits, runs, durations, info }
}

/** Sums what is left to deliver over the partitions that this process works on. */
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

function tokenCounter(metrics: Metrics): StageMetrics['tokenAsked'] {
  const asked = metrics.counter({
    name: 'token_requests_total',
    help: 'Access tokens that this process asked for, by result',
    labels: ['destination', 'result'],
  })
  return (destination, result) => {
    for (const each of ['granted', 'refused'])
      asked.add(each === result ? 1 : 0, { destination, result: each })
  }
}

/** Gauges of syncs that something is wrong with. */
function gaugesOfTrouble(metrics: Metrics) {
  const suspended = metrics.gauge({
    name: 'set_aside',
    help: 'Partitions of a sync that cannot be worked on, by stage; they are tried again, and other syncs go on',
    labels: ['stage', 'sync'],
  })
  const parked = metrics.gauge({
    name: 'parked',
    help: 'The number of processes in a row that died at work on a sync. The schedule of the sync pauses',
    labels: ['sync'],
  })
  return { suspended, parked }
}

function streamGauges(metrics: Metrics): StageMetrics['stream'] {
  const gauge = (name: string, help: string) => metrics.gauge({ name, help, labels: ['sync'] })
  const records = gauge(
    'stream_lag_records',
    'Records of the log of a source that its stream has not read yet, where the source tells',
  )
  const seconds = gauge(
    'stream_lag_seconds',
    'How long ago the oldest change was committed at the source that its stream has not delivered yet',
  )
  const held = gauge(
    'stream_held_keys',
    'Keys of a stream whose newest entry waits for an earlier change of the same key',
  )
  const inFlight = gauge('stream_in_flight_keys', 'Keys of a stream with a change that is on its way')
  return (sync, standing) => {
    for (const each of [records, seconds, held, inFlight]) each.remove({ sync })
    if (standing === 'not here') return
    if (standing.lagRecords !== null) records.set(standing.lagRecords, { sync })
    seconds.set((standing.lagMs ?? 0) / 1_000, { sync })
    held.set(standing.held, { sync })
    inFlight.set(standing.inFlight, { sync })
  }
}

type Shown = <L extends { readonly sync: string }>(metric: Removable<L>, name: string, labels: L) => L

function streamCounters(metrics: Metrics, shown: Shown): Pick<StageMetrics, 'streamRead' | 'streamCompares'> {
  const read = metrics.counter({
    name: 'stream_entries_total',
    help: 'Entries of the log of a source that its stream has read: new ones, repeated ones, and those that cannot be read',
    labels: ['sync', 'result'],
  })
  const comparisons = metrics.counter({
    name: 'stream_comparisons_total',
    help: 'Comparisons of a stream with the whole table, by the reason',
    labels: ['sync', 'reason'],
  })
  return {
    streamRead: (sync, result, entries) =>
      read.add(entries, shown(read, `entries ${result}`, { sync, result })),
    streamCompares: (sync, reason) =>
      comparisons.add(1, shown(comparisons, `comparisons ${reason}`, { sync, reason })),
  }
}

function breakerMetrics(metrics: Metrics): StageMetrics['breaker'] {
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
