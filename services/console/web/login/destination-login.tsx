/** The login of a destination (OAuth 2, authorization code): whether there is one, and logging in. */
import type { ResourceView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { call } from '../api/client.ts'
import { secretsQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { Section, Time } from '../ui/parts.tsx'
import { toastError } from '../ui/toast.tsx'

/** True for a destination that a person logs in to. */
export function wantsLogin({ kind, spec }: ResourceView): boolean {
  if (kind !== 'destination') return false
  return /"grant":"authorization-code"/.test(JSON.stringify(spec['auth'] ?? null))
}

export function DestinationLogin({ name }: { readonly name: string }): ReactElement {
  const { data } = useQuery(secretsQuery)
  const may = useMay('operate')
  const login = data?.secrets.find(secret => secret.kind === 'login' && secret.name === name)
  const begin = async (): Promise<void> => {
    // A browser opens a window only while it handles a click.
    const opened = window.open('', '_blank')
    try {
      const path = `/destinations/${encodeURIComponent(name)}/login`
      const { url } = await call(path, { method: 'POST', body: {}, answer: 'loginBegunView' })
      if (opened === null) location.assign(url)
      else {
        opened.opener = null
        opened.location.href = url
      }
    } catch (error) {
      opened?.close()
      toastError(error)
    }
  }
  return (
    <Section
      title="Login"
      aside={
        <button type="button" className="primary small" disabled={!may} onClick={() => void begin()}>
          {login === undefined ? 'Log in…' : 'Log in again…'}
        </button>
      }
    >
      <p className="pad">
        {login === undefined ? (
          'Nobody has logged in yet, so its syncs cannot send.'
        ) : (
          <>
            Logged in <Time at={login.since} />. The login may go to {login.for ?? 'any host'}.
          </>
        )}{' '}
        <span className="quiet">
          Logging in opens the API’s own page, which comes back to{' '}
          <code>{location.origin}/login/callback</code>. Register this address there.
        </span>
      </p>
    </Section>
  )
}
