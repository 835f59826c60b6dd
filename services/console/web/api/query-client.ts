/** The cache of the server's answers, and the rules for repeated requests. */
import { QueryClient, type Query } from '@tanstack/react-query'
import { ApiError } from './client.ts'

/**
 * A page repeats a failed request as long as a later answer may differ. If no answer comes, the page soon
 * says so, and asks again once the server answers (`app/connection.tsx`).
 */
function isWorthRepeating(count: number, error: unknown): boolean {
  if (!(error instanceof ApiError)) return false
  if (error.status === 0) return count < 1
  return error.status >= 500 && count < 3
}

/** The server ends any request of the caller within a minute, which makes room. */
const MAX_RETRIES_WHILE_FULL = 60
const RETRY_MS = 1_000

/**
 * The settings of a query whose first answer counts, also if it is an error. The server takes only a few of
 * these requests of a caller at once, so a refused request is repeated until there is room.
 */
export const ONCE_WHEN_THERE_IS_ROOM = {
  retry: (count: number, error: Error): boolean =>
    error instanceof ApiError && error.status === 429 && count < MAX_RETRIES_WHILE_FULL,
  retryDelay: (_count: number, error: Error): number =>
    (error instanceof ApiError ? error.retryAfterMs : null) ?? RETRY_MS,
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      ...{ retry: isWorthRepeating, staleTime: 2_000, refetchOnWindowFocus: true },
      // Without a network, a device still reaches a server that runs on the device itself.
      networkMode: 'always',
    },
    mutations: { retry: false, networkMode: 'always' },
  },
})

/**
 * Asks again for all that the page shows. It gives up requests that are under way, which may never be
 * answered.
 */
export async function askAgain(): Promise<void> {
  await queryClient.cancelQueries({ type: 'active', fetchStatus: 'fetching' })
  await queryClient.refetchQueries({ type: 'active' })
}

/** A server that was away for less time may just be busy. */
const BUSY_MS = 10_000

/**
 * Brings the page up to date after the server was away. Requests under way go on. After a short time only
 * what has failed is asked for, since a busy server shall not get more to do.
 */
export async function catchUp(awayMs: number): Promise<void> {
  const isWanted = ({ state }: Query): boolean => awayMs > BUSY_MS || state.status === 'error'
  await queryClient.refetchQueries({ type: 'active', predicate: isWanted }, { cancelRefetch: false })
}
