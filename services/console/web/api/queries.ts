/**
 * Queries that several pages share, each with its key. A query of one page alone is in the file of that page.
 */
import type { ResourceView, RunView } from '@sluice/contracts/api'
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import type { AskedOf } from '@sluice/contracts/api/operation-shapes'
import { call } from './client.ts'

/**
 * The time between two requests for data that changes by itself: `LIVE_MS` while a run is at work, otherwise
 * `CALM_MS`.
 */
const LIVE_MS = 2_000
const CALM_MS = 10_000
/** The time between two requests for data that seldom begins to change. */
const IDLE_MS = 60_000
const PER_PAGE = 50
/** The most syncs and resources that a page shows. */
const MAX_ITEMS = 1_000
/** The runs of each sync that the overview shows as bars. */
const BARS = 20

/** The time between two requests for the chart of a run at work. */
const CHART_MS = 3_000
/** A chart shows this many buckets well. */
const BUCKETS = 120

type ResourceKind = ResourceView['kind']

const isOpen = ({ status }: RunView): boolean => ['queued', 'running', 'held'].includes(status)

/** The start of the user's day. `public/first.js` asks for the same. */
function midnight(): string {
  return new Date(new Date().setHours(0, 0, 0, 0)).toISOString()
}

export const syncsQuery = queryOptions({
  queryKey: ['syncs'],
  queryFn: ({ signal }) =>
    call('listSyncs', { limit: MAX_ITEMS, runs: BARS, deliveredSince: midnight() }, { signal }),
  refetchInterval: ({ state }) =>
    state.data?.syncs.some(({ lastRun }) => lastRun !== null && isOpen(lastRun)) === true
      ? LIVE_MS
      : CALM_MS / 2,
})

/** The state of a run by now. Its page follows it (`useFollowedRun`). */
export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ['run', id],
    queryFn: ({ signal }) => call('getRun', { id }, { signal }),
  })

/** The outcomes and durations of a run's requests over time. */
export const figuresQuery = (id: string, isOver: boolean) =>
  queryOptions({
    queryKey: ['figures', id],
    queryFn: ({ signal }) => call('getRunFigures', { id, buckets: BUCKETS }, { signal }),
    staleTime: isOver ? 60_000 : 0,
    // A failed request is not repeated: without an index it may take minutes.
    refetchInterval: ({ state }) => (isOver || state.error !== null ? false : CHART_MS),
    retry: false,
  })

export type RunsFilter = Pick<AskedOf<'listRuns'>, 'sync' | 'status' | 'cause' | 'each'>

export const runsQuery = (filter: RunsFilter) =>
  infiniteQueryOptions({
    queryKey: ['runs', filter],
    queryFn: ({ signal, pageParam }) =>
      call('listRuns', { ...filter, limit: PER_PAGE, after: pageParam }, { signal }),
    initialPageParam: firstPage(),
    getNextPageParam: ({ next }) => next,
    refetchInterval: ({ state }) =>
      state.data?.pages.some(({ runs }) => runs.some(isOpen)) === true ? LIVE_MS : CALM_MS,
  })

export interface AttemptsFilter {
  readonly run?: string | undefined
  readonly sync?: string | undefined
  readonly key?: string | undefined
  readonly status?: string | undefined
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly outcome?: string | undefined
  readonly trigger?: string | undefined
  readonly search?: string | undefined
}

export const attemptsQuery = ({ search, ...asked }: AttemptsFilter) =>
  infiniteQueryOptions({
    queryKey: ['attempts', asked, search],
    queryFn: ({ signal, pageParam }) =>
      call(
        'listAttempts',
        { ...asked, q: search, details: false, limit: PER_PAGE, after: pageParam },
        { signal },
      ),
    initialPageParam: firstPage(),
    getNextPageParam: ({ next }) => next,
  })

export const failedQuery = (sync: string, filter: Omit<AskedOf<'listFailedRows'>, 'name'> = {}) =>
  infiniteQueryOptions({
    queryKey: ['failed', sync, filter],
    // Runs try these rows again, and other people decide about them, while somebody looks.
    refetchInterval: CALM_MS,
    queryFn: ({ signal, pageParam }) =>
      call('listFailedRows', { name: sync, ...filter, limit: PER_PAGE, after: pageParam }, { signal }),
    initialPageParam: firstPage(),
    getNextPageParam: ({ next }) => next,
  })

export const resourcesQuery = queryOptions({
  queryKey: ['resources'],
  queryFn: ({ signal }) => call('listResources', { limit: MAX_ITEMS }, { signal }),
})

/** The alerts with the conditions that hold. All pages show their number. */
export const alertsQuery = queryOptions({
  queryKey: ['alerts'],
  queryFn: ({ signal }) => call('listAlerts', {}, { signal }),
  refetchInterval: ({ state }) => (state.data?.alerts.length === 0 ? IDLE_MS : CALM_MS / 2),
  // The next request comes soon anyway.
  retry: false,
})

/** The destinations, with the part of their limits that is in use. */
export const destinationsQuery = queryOptions({
  queryKey: ['destinations'],
  queryFn: ({ signal }) => call('listDestinations', { limit: MAX_ITEMS }, { signal }),
  refetchInterval: ({ state }) =>
    state.data?.destinations.some(({ concurrency: { inUse } }) => inUse !== null && inUse > 0) === true
      ? LIVE_MS
      : CALM_MS / 2,
  // The next request comes soon anyway.
  retry: false,
})

export const resourceQuery = (kind: ResourceKind, name: string) =>
  queryOptions({
    queryKey: ['resource', kind, name],
    queryFn: ({ signal }) => call('getResource', { kind, name }, { signal }),
  })

export const secretsQuery = queryOptions({
  queryKey: ['secrets'],
  queryFn: ({ signal }) => call('listSecrets', {}, { signal }),
})

/** The cursor before the first page. */
export function firstPage(): string | null {
  return null
}
