/**
 * Notices a server that is gone. Every page then says so, with the age of its data. All data is brought up to
 * date once the server answers again.
 */
import { useQuery, useQueryClient, type QueryClient } from '@tanstack/react-query'
import { useEffect, useRef, type ReactElement } from 'react'
import { CHECK_MS, useLostSince } from '../api/connection.ts'
import { catchUp } from '../api/query-client.ts'
import { sessionQuery } from '../api/session.ts'
import { fromNow, localTime, utcTime } from '../ui/format.ts'
import { useNow } from '../ui/parts.tsx'

/** Asks for the session again and again, unless it has ended. */
export function useHeartbeat() {
  const client = useQueryClient()
  useEffect(() => {
    // The browser may be wrong about the network: a server of this machine still answers.
    const check = (): void => void client.refetchQueries(sessionQuery)
    addEventListener('offline', check)
    addEventListener('online', check)
    return () => {
      removeEventListener('offline', check)
      removeEventListener('online', check)
    }
  }, [client])
  const isLost = useLostSince() !== null
  return useQuery({
    ...sessionQuery,
    refetchInterval: ({ state }) => (state.data === undefined && !isLost ? false : CHECK_MS),
  })
}

export function Connection(): ReactElement | null {
  const lostSince = useLostSince()
  const lost = useRef<number | null>(null)
  useEffect(() => {
    if (lost.current !== null && lostSince === null) void catchUp(Date.now() - lost.current)
    lost.current = lostSince
  }, [lostSince])
  return lostSince === null ? null : <Lost since={lostSince} />
}

function Lost({ since }: { readonly since: number }): ReactElement {
  const client = useQueryClient()
  const now = useNow(1_000)
  const at = new Date(newestOf(client) ?? since).toISOString()
  return (
    <div className="banner connection">
      <strong role="status">
        {navigator.onLine ? 'The server does not answer.' : 'This device is offline.'}
      </strong>{' '}
      Shown as of{' '}
      <time dateTime={at} title={`${localTime(at)} · ${utcTime(at)}`}>
        {fromNow(at, now)}
      </time>
      . What you type stays, and the page goes on by itself.
    </div>
  )
}

/** The time of the newest data on the page, which its live parts show. Null if the page shows no data. */
function newestOf(client: QueryClient): number | null {
  const shown = client
    .getQueryCache()
    .findAll({ type: 'active' })
    .filter(({ queryKey: [name] }) => name !== 'session')
    .map(({ state }) => state.dataUpdatedAt)
  return Math.max(0, ...shown) || null
}
