/** What the pages know of the server, and when they ask again. */
import { QueryClient } from '@tanstack/react-query'
import { ApiError } from './client.ts'

/** A page tries again by itself as long as a later answer may differ. */
function isWorthAnotherTry(count: number, error: unknown): boolean {
  if (!(error instanceof ApiError)) return false
  return error.status === 0 || error.status >= 500 ? count < 3 : false
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { retry: isWorthAnotherTry, staleTime: 2_000, refetchOnWindowFocus: true },
    mutations: { retry: false },
  },
})
