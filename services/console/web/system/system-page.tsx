/** The page for operators: the server's version, readiness and health, and the user's roles. */
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { openApi } from '../api/client.ts'
import { sessionQuery } from '../api/session.ts'
import { Health } from './health.tsx'
import { Readiness } from './readiness.tsx'
import { Facts, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'

export function SystemPage(): ReactElement {
  const session = useQuery(sessionQuery)
  const api = useQuery({
    queryKey: ['openapi'],
    queryFn: openApi,
    staleTime: Infinity,
  })
  return (
    <Page title="System" lead="For those who run this server.">
      <Section title="This server">
        {api.isPending ? (
          <Loading lines={2} />
        ) : api.data === undefined ? (
          <Trouble error={api.error} />
        ) : (
          <Facts
            facts={[
              ['Version of the API', api.data.info.version],
              [
                'API',
                <a key="api" href="/api/v1/openapi.json">
                  OpenAPI {api.data.openapi}
                </a>,
              ],
              [
                'Metrics',
                <a key="metrics" href="/metrics">
                  for Prometheus
                </a>,
              ],
            ]}
          />
        )}
      </Section>
      <Health />
      <Readiness />
      <Section title="You">
        {session.data === undefined ? (
          <Loading lines={2} />
        ) : (
          <Facts
            facts={[
              ['Name', session.data.name],
              ['May', session.data.roles.join(', ')],
              ...(session.data.endsAt === null
                ? []
                : ([['Your session ends', <Time key="ends" at={session.data.endsAt} />]] as const)),
            ]}
          />
        )}
      </Section>
    </Page>
  )
}
