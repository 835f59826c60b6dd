/** The template of a request, in the version that was valid when its run began. */
import type { AttemptView } from '@sluice/contracts/api'
import type { ResourceHistoryView } from '@sluice/contracts/api/resources'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { call } from '../api/client.ts'
import { resourceQuery, runQuery } from '../api/queries.ts'
import { Loading, Trouble } from '../ui/parts.tsx'
import { namesSaid, splitAtNames, templateOf } from './template-text.ts'

type Version = ResourceHistoryView['versions'][number]

interface MadeByProps {
  readonly attempt: AttemptView
}

/** A longer template is cut off here. */
const MAX_CHARACTERS = 20_000

/** The template is open after an error, otherwise closed, since it may be long. */
export function MadeBy({ attempt }: MadeByProps): ReactElement {
  const [isOpen, setOpen] = useState(attempt.error !== null)
  return (
    <details className="made-by" open={isOpen} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>The template that made it</summary>
      {isOpen ? <Template attempt={attempt} /> : null}
    </details>
  )
}

function Template({ attempt }: MadeByProps): ReactElement {
  const { sync, run, trigger, startedAt, error, responseBody } = attempt
  const present = useQuery({ ...resourceQuery('sync', sync), retry: false })
  const history = useQuery({
    queryKey: ['resource-history', 'sync', sync, present.data?.version],
    queryFn: ({ signal }) => call('getResourceHistory', { kind: 'sync', name: sync }, { signal }),
    enabled: present.data !== undefined,
    retry: false,
  })
  // A test has no run.
  const ofRun = useQuery({ ...runQuery(run), enabled: attempt.test !== true, retry: false })
  if (present.isPending || history.isLoading || ofRun.isLoading) return <Loading lines={3} />
  if (present.data === undefined) return <Trouble error={present.error} />
  const then = versionAt(history.data?.versions ?? [], ofRun.data?.startedAt ?? startedAt)
  const text = templateOf(then?.spec ?? present.data.spec, trigger)
  const names = error === null ? new Set<string>() : namesSaid(`${error} ${responseBody ?? ''}`)
  return (
    <>
      <p className="test-line">
        <span className="quiet">
          {then !== null && then.version !== present.data.version
            ? `As it was in version ${then.version}. The sync has changed since.`
            : 'As it is now.'}
        </span>
        <Link
          to="/syncs/$name/edit"
          params={{ name: sync }}
          search={{ step: 'requests' }}
          className="button small"
        >
          Edit it
        </Link>
      </p>
      {text === null ? (
        <p className="quiet">The sync sends nothing for {trigger} rows.</p>
      ) : (
        <pre className="code lines" tabIndex={0} role="region" aria-label={`Template for ${trigger} rows`}>
          {text
            .slice(0, MAX_CHARACTERS)
            .split('\n')
            .map((line, index) => (
              <Line key={index} number={index + 1} parts={splitAtNames(line, names)} />
            ))}
        </pre>
      )}
      {text !== null && text.length > MAX_CHARACTERS ? (
        <p className="quiet">This is its beginning. The editor has all of it.</p>
      ) : null}
    </>
  )
}

/** Every second part is a name that the answer mentions. */
function Line(props: { readonly number: number; readonly parts: readonly string[] }): ReactElement {
  const { number, parts } = props
  return (
    <span className="line" data-named={parts.length > 1}>
      <span className="line-number" aria-hidden="true">
        {number}
      </span>
      {parts.map((part, at) => (at % 2 === 0 ? part : <mark key={at}>{part}</mark>))}
      {'\n'}
    </span>
  )
}

/** The version that was valid at an instant. Null if it is unknown. */
function versionAt(versions: readonly Version[], at: string): Version | null {
  return versions.find(version => version.at !== null && version.at <= at) ?? null
}
