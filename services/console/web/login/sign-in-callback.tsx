/** The page to which the OpenID provider sends the browser back. It finishes the sign-in, once. */
import { useQuery } from '@tanstack/react-query'
import { useEffect, useState, type ReactElement } from 'react'
import { ApiError, call } from '../api/client.ts'
import { ServerMessage } from '../ui/server-message.tsx'

export function SignInCallback(): ReactElement {
  const [redirected] = useState(() => location.href)
  // The address of the page holds a code, which history and screens need not show.
  useEffect(() => history.replaceState(history.state, '', location.pathname), [])
  const { data, error } = useQuery({
    queryKey: ['signed-in', redirected],
    queryFn: () => call('finishSignIn', { redirected }),
    ...{ retry: false, staleTime: Infinity, gcTime: Infinity, refetchOnWindowFocus: false },
  })
  const to = data?.to ?? null
  useEffect(() => {
    if (to !== null) location.replace(to)
  }, [to])
  return (
    <main className="sign-in">
      <div className="card">
        <img src="/icon.svg" alt="" width="40" height="40" />
        <h1>{error === null ? 'Signing in…' : 'You are not signed in'}</h1>
        {error === null ? null : (
          <>
            <p role="alert">
              <ServerMessage
                text={error instanceof ApiError ? error.message : 'The server does not answer.'}
              />
            </p>
            <a className="button primary" href="/">
              Back to the sign-in
            </a>
          </>
        )}
      </div>
    </main>
  )
}
