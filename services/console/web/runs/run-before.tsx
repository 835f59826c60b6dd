/** Leads from a run to its comparison with the run of its sync before it. */
import type { RunView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { call } from '../api/client.ts'

/** Runs that never began stand between runs that did. */
const LOOKED_AT = 20

export function CompareWithBefore({ run: { id, sync } }: { readonly run: RunView }): ReactElement | null {
  const { data } = useQuery({
    queryKey: ['run-before', id],
    queryFn: ({ signal }) => call('listRuns', { sync, after: id, limit: LOOKED_AT }, { signal }),
    retry: false,
    staleTime: Infinity,
  })
  const before = data?.runs.find(({ startedAt }) => startedAt !== null)
  if (before === undefined) return null
  return (
    <Link to="/runs/compare" search={{ before: before.id, after: id }} className="button">
      <span>
        Compare <span className="wide-words">with the run before</span>
      </span>
    </Link>
  )
}
