/** The page to which a destination's server sends the browser back after a login. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { call } from '../api/client.ts'
import { Empty, Loading, Page, Section, Trouble } from '../ui/parts.tsx'

export function LoginCallbackPage(): ReactElement {
  const redirected = location.href
  // The code is valid only once, so a failed request is not repeated.
  const { data, error, isPending } = useQuery({
    queryKey: ['login-finished', redirected],
    queryFn: () => call('finishLogin', { redirected }),
    ...{ retry: false, staleTime: Infinity, gcTime: Infinity, refetchOnWindowFocus: false },
  })
  return (
    <Page title="Login">
      <Section title="Logging in to a destination">
        {isPending ? (
          <Loading lines={3} />
        ) : data === undefined ? (
          <div className="pad">
            <Trouble error={error} onRetry={() => location.assign('/resources')} />
          </div>
        ) : (
          <Empty title={`You are logged in to ${data.destination}.`}>
            <p>
              The login may go to {data.for}.{' '}
              {data.renews
                ? 'Sluice renews it by itself.'
                : 'The server gave no refresh token, so somebody has to log in again when it ends.'}
            </p>
            <p>
              <Link
                to="/resources/$kind/$name"
                params={{ kind: 'destination', name: data.destination }}
                className="button primary"
              >
                Back to {data.destination}
              </Link>
            </p>
          </Empty>
        )}
      </Section>
    </Page>
  )
}
