/** The template that made a request, as it stood when its run began. */
import type { AttemptView } from '@sluice/contracts/api'
import type { ResourceHistoryView } from '@sluice/contracts/api/resources'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { call } from '../api/client.ts'
import { resourceQuery, runQuery } from '../api/queries.ts'
import { namesSaid, splitAtNames, templateOf } from './template-text.ts'

type Version = ResourceHistoryView['versions'][number]

interface MadeByProps {
  readonly attempt: AttemptView
}

/** Nothing for a sync that is not there any more. */
export function MadeBy({ attempt }: MadeByProps): ReactElement | null {
  const { sync, run, trigger, startedAt, error, responseBody } = attempt
  const present = useQuery({ ...resourceQuery('sync', sync), retry: false })
  const history = useQuery({
    queryKey: ['resource-history', 'sync', sync, present.data?.version],
    queryFn: ({ signal }) =>
      call(`/resources/sync/${encodeURIComponent(sync)}/history`, { answer: 'resourceHistoryView', signal }),
    enabled: present.data !== undefined,
    retry: false,
  })
  // A test belongs to no run.
  const ofRun = useQuery({ ...runQuery(run), enabled: attempt.test !== true, retry: false })
  if (present.data === undefined || history.isLoading || ofRun.isLoading) return null
  const then = versionAt(history.data?.versions ?? [], ofRun.data?.startedAt ?? startedAt)
  const text = templateOf(then?.spec ?? present.data.spec, trigger)
  if (text === null) return null
  const names = error === null ? new Set<string>() : namesSaid(`${error} ${responseBody ?? ''}`)
  const isPast = then !== null && then.version !== present.data.version
  return (
    <div className="made-by">
      <header>
        <h3>The template that made it</h3>
        <Link
          to="/syncs/$name/edit"
          params={{ name: sync }}
          search={{ step: 'requests' }}
          className="button small"
        >
          Edit it
        </Link>
      </header>
      {isPast ? (
        <p className="quiet">As it was in version {then.version}. The sync has changed since.</p>
      ) : null}
      <pre className="code lines" tabIndex={0} role="region" aria-label={`Template for ${trigger} rows`}>
        {text.split('\n').map((line, index) => {
          const parts = splitAtNames(line, names)
          return (
            <span key={index} className="line" data-named={parts.length > 1}>
              <span className="line-number" aria-hidden="true">
                {index + 1}
              </span>
              {parts.map((part, at) => (at % 2 === 0 ? part : <mark key={at}>{part}</mark>))}
              {'\n'}
            </span>
          )
        })}
      </pre>
    </div>
  )
}

/** The version that stood at an instant; null if that is not known. */
function versionAt(versions: readonly Version[], at: string): Version | null {
  return versions.find(version => version.at !== null && version.at <= at) ?? null
}
