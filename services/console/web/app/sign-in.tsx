/**
 * Signing in with a token or the OpenID provider, and out. If a session ends during work, the form covers the
 * page.
 */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState, type ReactElement } from 'react'
import type { SessionView } from '@sluice/contracts/api'
import type { SignInView } from '@sluice/contracts/api/operating'
import { ApiError, call } from '../api/client.ts'
import { beginSignIn, signIn, signOut } from '../api/session.ts'
import { toastError } from '../ui/toast.tsx'

interface SignInProps {
  /** True if it covers a page, which keeps its contents. */
  readonly over?: boolean
  readonly onDone: () => void
}

export function SignIn({ over = false, onDone }: SignInProps): ReactElement {
  const [token, setToken] = useState('')
  const [error, setError] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)
  const form = useRef<HTMLFormElement>(null)
  const { data: ways } = useQuery({
    queryKey: ['sign-in'],
    queryFn: ({ signal }) => call('getSignIn', {}, { signal }),
  })
  const provider = ways?.provider ?? null
  useEffect(() => {
    // Somebody may type a token before the server has said how people sign in.
    if (token === '') form.current?.querySelector<HTMLElement>('input, button')?.focus()
  }, [provider])
  const submit = async (): Promise<void> => {
    await trying(async () => {
      await signIn(token)
      setToken('')
      onDone()
    })
  }
  const trying = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true)
    setError(null)
    try {
      await work()
    } catch (failure) {
      setError(failure instanceof ApiError ? failure.message : 'The server does not answer.')
    } finally {
      setBusy(false)
    }
  }
  return (
    <div className={over ? 'sign-in over' : 'sign-in'}>
      <form
        ref={form}
        className="card"
        onSubmit={event => {
          event.preventDefault()
          void submit()
        }}
      >
        <img src="/icon.svg" alt="" width="40" height="40" />
        <h1>{over ? 'Your session has ended' : 'Sign in to Sluice'}</h1>
        <p className="quiet">{over ? againInWords(ways) : waysInWords(ways)}</p>
        {provider === null ? null : (
          <button type="button" className="primary" disabled={busy} onClick={() => void trying(beginSignIn)}>
            Sign in with {provider}
          </button>
        )}
        {ways?.token === false ? null : (
          <label className="field">
            <span>Token</span>
            <input
              type="password"
              autoComplete="current-password"
              value={token}
              aria-invalid={error !== null}
              onChange={event => setToken(event.target.value)}
            />
          </label>
        )}
        {error === null ? null : (
          <p className="field-error" role="alert">
            {error}
          </p>
        )}
        {ways?.token === false ? null : (
          <button
            type="submit"
            className={provider === null ? 'primary' : ''}
            disabled={busy || token === ''}
          >
            Sign in
          </button>
        )}
      </form>
    </div>
  )
}

type Ways = Pick<SignInView, 'token' | 'provider'> | undefined

function waysInWords(ways: Ways): string {
  const provider = ways?.provider ?? null
  return provider === null
    ? 'With a token of this server: its operator has set SLUICE_TOKEN, SLUICE_READ_TOKEN or another.'
    : `With your account at ${provider}${ways?.token === false ? '' : ', or with a token of this server'}.`
}

/** The provider's page takes the place of this one. Then only the texts that the browser keeps come back. */
function againInWords(ways: Ways): string {
  const provider = ways?.provider ?? null
  if (provider === null) return 'Sign in again. What you typed is still on the page behind this.'
  const atProvider = 'opens this page anew: what you typed in an editor comes back with it'
  return ways?.token === false
    ? `Sign in again. That ${atProvider}.`
    : `Sign in again. ${provider} ${atProvider}. With a token, the page behind this stays as it is.`
}

export function SignOut({ session }: { readonly session: SessionView }): ReactElement | null {
  const client = useQueryClient()
  if (session.by !== 'session') return null
  const leave = async (): Promise<void> => {
    await signOut()
    client.clear()
    location.assign('/')
  }
  return (
    <button type="button" className="plain wide-button" onClick={() => void leave().catch(toastError)}>
      Sign out ({session.name})
    </button>
  )
}
