/** What the pages know of the server, and when they ask again. */
import { QueryClient } from '@tanstack/react-query'
import { ApiError } from './client.ts'

/** A page tries again by itself as long as a later answer may differ. */
function isWorthAnotherTry(count: number, error: unknown): boolean {
  if (!(error instanceof ApiError)) return false
  return error.status === 0 || error.status >= 500 ? count < 3 : false
}

/** As long as a caller may have something under way: a query of a minute. */
const MAX_TRIES_WHILE_FULL = 60
const ASKED_AGAIN_MS = 1_000

/**
 * For what a page asks once and shows as it is, errors included. The server answers a few such requests of a
 * caller at a time; a further one is asked for again once there is room.
 */
export const ONCE_WHEN_THERE_IS_ROOM = {
  retry: (count: number, error: Error): boolean =>
    error instanceof ApiError && error.status === 429 && count < MAX_TRIES_WHILE_FULL,
  retryDelay: (_count: number, error: Error): number =>
    (error instanceof ApiError ? error.retryAfterMs : null) ?? ASKED_AGAIN_MS,
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { retry: isWorthAnotherTry, staleTime: 2_000, refetchOnWindowFocus: true },
    mutations: { retry: false },
  },
})
