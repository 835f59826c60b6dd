/** The banner while the server does not answer. */
import { useIsFetching, useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { ApiError } from '../api/client.ts'
import { sessionQuery } from '../api/session.ts'

export function Connection(): ReactElement | null {
  const { error, dataUpdatedAt, errorUpdatedAt } = useQuery(sessionQuery)
  const asking = useIsFetching() > 0
  const lost = error instanceof ApiError && error.status === 0 && errorUpdatedAt > dataUpdatedAt
  if (!lost) return null
  return (
    <p className="banner" role="status">
      The server does not answer. This page shows what it knew last, and goes on by itself once it answers
      {asking ? ' (asking…)' : ''}.
    </p>
  )
}
