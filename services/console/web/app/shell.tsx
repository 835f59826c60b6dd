/** The frame around each page: the menu, the keys, and the banner of the connection. */
import type { SessionView } from '@sluice/contracts/api'
import { Link, Outlet, useRouterState } from '@tanstack/react-router'
import { useEffect, useState, type ReactElement } from 'react'
import { ApiError, noAnswer, whenSignedOut } from '../api/client.ts'
import { useLostSince } from '../api/connection.ts'
import { ForRole } from '../ui/for-role.tsx'
import { Loading, Trouble } from '../ui/parts.tsx'
import { Connection, useHeartbeat } from './connection.tsx'
import { KeysHelp, useKeys } from './keys.tsx'
import { Palette } from './palette.tsx'
import { SignIn, SignOut } from './sign-in.tsx'
import { ThemeSwitch } from './theme.tsx'

const PLACES = [
  { to: '/', name: 'Overview', key: 'o' },
  { to: '/runs', name: 'Runs', key: 'r' },
  { to: '/requests', name: 'Requests', key: 'q' },
  { to: '/resources', name: 'Resources', key: 's' },
  { to: '/secrets', name: 'Secrets', key: 'v' },
  { to: '/alerts', name: 'Alerts', key: 'a' },
  { to: '/tokens', name: 'Tokens', key: 't' },
  { to: '/audit', name: 'Audit', key: 'u' },
  { to: '/system', name: 'System', key: 'y' },
] as const

export function Shell(): ReactElement {
  const session = useHeartbeat()
  const isLost = useLostSince() !== null
  const [ended, setEnded] = useState(false)
  const isIn = session.data !== undefined
  useEffect(() => (isIn ? whenSignedOut(() => setEnded(true)) : undefined), [isIn])
  // A page that is there stays, whatever becomes of the server: it has the text that was typed.
  if (session.data === undefined && (isLost || isFault(session.error)))
    return (
      <main className="lone">
        <Trouble error={session.error ?? noAnswer()} onRetry={() => void session.refetch()} />
      </main>
    )
  if (session.isPending) return <Loading />
  if (session.data === undefined) return <SignIn onDone={() => void session.refetch()} />
  return (
    <>
      <Frame session={session.data} />
      {/* The page behind it keeps the text that was typed. */}
      {ended ? (
        <SignIn
          over
          onDone={() => {
            setEnded(false)
            void session.refetch()
          }}
        />
      ) : null}
    </>
  )
}

/** True unless the server only wants to know who asks. */
function isFault(error: Error | null): boolean {
  return error !== null && !(error instanceof ApiError && [401, 403].includes(error.status))
}

function Frame({ session }: { readonly session: SessionView }): ReactElement {
  const [shown, setShown] = useState<'palette' | 'keys' | null>(null)
  const path = useRouterState({ select: ({ location }) => location.pathname })
  const [menu, setMenu] = useState(false)
  useEffect(() => setMenu(false), [path])
  useKeys({ places: PLACES, onPalette: () => setShown('palette'), onHelp: () => setShown('keys') })
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <aside className="side" data-open={menu}>
        <div className="brand">
          <Link to="/" aria-label="Sluice, overview">
            <img src="/icon.svg" alt="" width="26" height="26" />
            <strong>Sluice</strong>
          </Link>
          <button
            type="button"
            className="menu-button"
            aria-expanded={menu}
            aria-controls="places"
            onClick={() => setMenu(!menu)}
          >
            Menu
          </button>
        </div>
        <nav id="places" aria-label="Pages">
          {PLACES.map(({ to, name }) => (
            <Link
              key={to}
              to={to}
              activeOptions={{ exact: to === '/' }}
              activeProps={{ 'aria-current': 'page' }}
            >
              {name}
            </Link>
          ))}
          <ForRole role="edit" label="New sync">
            <Link to="/new" className="new">
              New sync
            </Link>
          </ForRole>
        </nav>
        <div className="side-foot">
          <button type="button" className="plain wide-button" onClick={() => setShown('palette')}>
            Find… <kbd>k</kbd>
          </button>
          <button type="button" className="plain wide-button" onClick={() => setShown('keys')}>
            Keys <kbd>?</kbd>
          </button>
          <ThemeSwitch />
          <SignOut session={session} />
        </div>
      </aside>
      <main id="main" tabIndex={-1}>
        <Connection />
        <Outlet />
      </main>
      {shown === 'palette' ? <Palette places={PLACES} onClose={() => setShown(null)} /> : null}
      {shown === 'keys' ? <KeysHelp places={PLACES} onClose={() => setShown(null)} /> : null}
    </div>
  )
}
