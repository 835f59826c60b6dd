/** The top of a destination's page: its health, how it answered lately, and its limits. */
import type { ResourceView } from '@sluice/contracts/api'
import type { DestinationHour } from '@sluice/contracts/views/destination-health'
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { destinationsQuery } from '../api/queries.ts'
import { slotsInWords } from '../overview/slots-in-use.ts'
import { limitsInWords } from '../syncs/limits-in-words.ts'
import { count, duration } from '../ui/format.ts'
import { Facts, Loading, Section, Time, Trouble } from '../ui/parts.tsx'
import { HealthBadge, HealthFix, HealthReason } from './destination-health.tsx'

export function DestinationState({
  resource: { name, spec },
}: {
  readonly resource: ResourceView
}): ReactElement {
  const { data, error, isPending } = useQuery(destinationsQuery)
  const known = data?.destinations.find(destination => destination.name === name)
  return (
    <>
      <Section title="Health">
        {isPending ? (
          <Loading />
        ) : known?.health === undefined ? (
          error === null ? (
            <p className="pad quiet">The health is not known yet.</p>
          ) : (
            <Trouble error={error} />
          )
        ) : (
          <>
            <div className="pad actions">
              <HealthBadge health={known.health} />
              <span>
                <HealthReason health={known.health} />
              </span>
              <HealthFix health={known.health} isOnItsPage />
            </div>
            <Facts
              facts={[
                ['Last attempt', <LastAttempt key="at" at={known.health.lastAttemptAt} />],
                ['Limits', limitsInWords(spec['limits'])],
                ['In use', slotsInWords(known.concurrency, true) ?? 'not known'],
              ]}
            />
            {known.hour === undefined || known.hour.attempts === 0 ? null : <LastHour hour={known.hour} />}
          </>
        )}
      </Section>
    </>
  )
}

function LastAttempt({ at }: { readonly at: string | null }): ReactElement {
  return at === null ? <>none yet</> : <Time at={at} />
}

/** How it answered in the last hour in which something was sent. */
function LastHour({ hour }: { readonly hour: DestinationHour }): ReactElement {
  const { p50, p90, p99 } = hour.latencyMs
  const time = (ms: number | null): string => (ms === null ? 'not known' : duration(ms))
  return (
    <>
      <h3 className="pad">In the last hour of sending</h3>
      <Facts
        facts={[
          ['Attempts', count(hour.attempts)],
          ['Delivered', count(hour.delivered)],
          ...(hour.throttled === 0 ? [] : [['Asked to wait', count(hour.throttled)] as const]),
          ['p50', time(p50)],
          ['p90', time(p90)],
          ['p99', time(p99)],
        ]}
      />
      {hour.errors.length === 0 ? null : (
        <ul className="groups" aria-label="Errors of the last hour of sending">
          {hour.errors.map(({ kind, count: attempts }) => (
            <li key={kind} className="group-head">
              <strong>{kind}</strong>{' '}
              <small>{attempts === 1 ? '1 attempt' : `${count(attempts)} attempts`}</small>
            </li>
          ))}
        </ul>
      )}
    </>
  )
}
