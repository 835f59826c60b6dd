/** Shows the login of a destination (OAuth 2, authorization code), and begins a new one. */
import type { ResourceView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactElement } from 'react'
import { call } from '../api/client.ts'
import { secretsQuery } from '../api/queries.ts'
import { useMay, whyOff } from '../api/session.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Section, Time } from '../ui/parts.tsx'
import { toastError } from '../ui/toast.tsx'

/** True for a destination that wants a login by a person. */
export function wantsLogin({ kind, spec }: ResourceView): boolean {
  if (kind !== 'destination') return false
  return /"grant":"authorization-code"/.test(JSON.stringify(spec['auth'] ?? null))
}

export function DestinationLogin({ name }: { readonly name: string }): ReactElement {
  const { data } = useQuery(secretsQuery)
  const may = useMay('operate')
  const login = data?.secrets.find(secret => secret.kind === 'login' && secret.name === name)
  const [begun, setBegun] = useState<Begun | null>(null)
  const begin = async (): Promise<void> => {
    try {
      setBegun(await call('beginLogin', { name }))
    } catch (error) {
      toastError(error)
    }
  }
  return (
    <Section
      title="Login"
      aside={
        <button
          type="button"
          className="primary small"
          disabled={!may}
          title={may ? undefined : whyOff('operate')}
          onClick={() => void begin()}
        >
          {login === undefined ? 'Log in…' : 'Log in again…'}
        </button>
      }
    >
      {begun === null ? null : <WhereItGoes name={name} begun={begun} onClose={() => setBegun(null)} />}
      <p className="pad">
        {login === undefined ? (
          'Its syncs can send once somebody has logged in.'
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

interface Begun {
  readonly url: string
  readonly codeTo: string
  readonly for: string
}

interface WhereItGoesProps {
  readonly name: string
  readonly begun: Begun
  readonly onClose: () => void
}

/** The destination's author chooses which server gets the login. So the person confirms it first. */
function WhereItGoes({ name, begun, onClose }: WhereItGoesProps): ReactElement {
  const { host } = new URL(begun.url)
  return (
    <Dialog title={`Log in to ${name}`} onClose={onClose}>
      <p>
        You log in at <code>{host}</code>. <code>{begun.codeTo}</code> then gets the code of your login, and
        gives the tokens for it. The tokens may go to <code>{begun.for}</code>. Go on if you know these hosts.
      </p>
      <footer className="dialog-actions">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <a
          className="button primary"
          href={begun.url}
          target="_blank"
          rel="noopener noreferrer"
          onClick={onClose}
        >
          Log in at {host}
        </a>
      </footer>
    </Dialog>
  )
}
