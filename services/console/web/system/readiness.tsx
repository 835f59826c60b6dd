/** The readiness of the process that answers, as its `/readyz` reports it. */
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { Loading, Section, Time, Trouble } from '../ui/parts.tsx'
import { Badge } from '../ui/status.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { checksIn } from './checks-in.ts'

const EVERY_MS = 5_000

const NAMES: { readonly [check: string]: string } = {
  started: 'Has started',
  running: 'Takes new work',
  work: 'Reaches what it works with',
}

export function Readiness(): ReactElement {
  const { data, error } = useQuery({
    queryKey: ['readyz'],
    queryFn: async ({ signal }) => {
      const response = await fetch('/readyz', { signal })
      return { isReady: response.ok, checks: checksIn(await response.text()) }
    },
    refetchInterval: EVERY_MS,
  })
  if (data === undefined)
    return (
      <Section title="Readiness">
        {error === null ? <Loading lines={2} /> : <Trouble error={error} />}
      </Section>
    )
  return (
    <Section
      title="Readiness"
      aside={
        <Badge
          tone={data.isReady ? 'good' : 'bad'}
          sign={data.isReady ? '✓' : '✕'}
          text={data.isReady ? 'ready' : 'not ready'}
        />
      }
    >
      <ul className="health-checks">
        {data.checks.map(({ name, ok, detail, since }) => (
          <li key={name}>
            <Badge tone={ok ? 'good' : 'bad'} sign={ok ? '✓' : '✕'} text={ok ? 'ok' : 'waits'} />
            <span>
              <strong>{NAMES[name] ?? name}</strong>
              {detail === null ? null : (
                <>
                  : <ServerMessage text={detail} />
                </>
              )}
              {since === null ? null : (
                <small>
                  since <Time at={since} />
                </small>
              )}
            </span>
          </li>
        ))}
      </ul>
      {data.checks.length === 0 ? <p className="pad quiet">It says no more than that.</p> : null}
    </Section>
  )
}
