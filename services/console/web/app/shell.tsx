/** The frame around each page: the menu, the keys, and the banner of the connection. */
import type { SessionView } from '@sluice/contracts/api'
import { Link, Outlet, useRouterState } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useId, useState, type ReactElement } from 'react'
import { AlertBell } from '../alerts/alert-bell.tsx'
import { ApiError, noAnswer, whenSignedOut } from '../api/client.ts'
import { useLostSince } from '../api/connection.ts'
import { ForRole } from '../ui/for-role.tsx'
import { Icon } from '../ui/icons.tsx'
import { Loading, Trouble } from '../ui/parts.tsx'
import { Connection, useHeartbeat } from './connection.tsx'
import { KeysHelp, useKeys } from './keys.tsx'
import { Palette } from './palette.tsx'
import { AT_HAND, GROUPS, type Place } from './places.ts'
import { SignIn, SignOut } from './sign-in.tsx'
import { ThemeSwitch } from './theme.tsx'

const SignInCallback = lazy(async () => ({
  default: (await import('../login/sign-in-callback.tsx')).SignInCallback,
}))

export function Shell(): ReactElement {
  const path = useRouterState({ select: ({ location }) => location.pathname })
  // Nobody is signed in before this page has ended.
  if (path !== '/sign-in/callback') return <Within />
  return (
    <Suspense fallback={<Loading />}>
      <SignInCallback />
    </Suspense>
  )
}

/** The pages for somebody who is signed in, and the form for all others. */
function Within(): ReactElement {
  const session = useHeartbeat()
  const isLost = useLostSince() !== null
  const [ended, setEnded] = useState(false)
  const isIn = session.data !== undefined
  useEffect(() => (isIn ? whenSignedOut(() => setEnded(true)) : undefined), [isIn])
  // A page that is shown stays even without a server, since it has the text that was typed.
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
      {/* The page stays behind the dialog, and keeps the text that was typed. */}
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

/** False if the server answers that the user has to sign in, or lacks a right. */
function isFault(error: Error | null): boolean {
  return error !== null && !(error instanceof ApiError && [401, 403].includes(error.status))
}

function Frame({ session }: { readonly session: SessionView }): ReactElement {
  const [shown, setShown] = useState<'palette' | 'keys' | null>(null)
  const path = useRouterState({ select: ({ location }) => location.pathname })
  const [menu, setMenu] = useState(false)
  useEffect(() => setMenu(false), [path])
  useKeys({ onPalette: () => setShown('palette'), onHelp: () => setShown('keys') })
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <aside className="side">
        <div className="brand">
          <Link to="/" aria-label="Sluice, overview">
            <img src="/icon.svg" alt="" width="24" height="24" />
            <strong>Sluice</strong>
          </Link>
          <AlertBell />
        </div>
        <button type="button" className="find" onClick={() => setShown('palette')}>
          <Icon name="find" /> Find… <kbd>k</kbd>
        </button>
        <div id="menu" className="menu" data-open={menu}>
          <ForRole role="edit" label="New sync" className="new">
            <Link to="/new" className="button new">
              <Icon name="add" /> New sync
            </Link>
          </ForRole>
          <nav aria-label="Pages">
            {GROUPS.map(({ name, places }) => (
              <PlaceGroup key={name} name={name} places={places} />
            ))}
          </nav>
          <div className="side-foot">
            <button type="button" className="plain wide-button keys-button" onClick={() => setShown('keys')}>
              <Icon name="keys" /> Keys <kbd>?</kbd>
            </button>
            <SignOut session={session} />
            <ThemeSwitch />
          </div>
        </div>
      </aside>
      <main id="main" tabIndex={-1}>
        <Connection />
        <Outlet />
      </main>
      <div className="at-hand">
        <nav aria-label="First pages">
          {AT_HAND.map(place => (
            <PlaceLink key={place.to} place={place} />
          ))}
        </nav>
        <button type="button" aria-expanded={menu} aria-controls="menu" onClick={() => setMenu(!menu)}>
          <Icon name={menu ? 'close' : 'menu'} /> Menu
        </button>
      </div>
      {shown === 'palette' ? <Palette onClose={() => setShown(null)} /> : null}
      {shown === 'keys' ? <KeysHelp onClose={() => setShown(null)} /> : null}
    </div>
  )
}

function PlaceGroup({ name, places }: (typeof GROUPS)[number]): ReactElement {
  const id = useId()
  return (
    <>
      <h2 id={id}>{name}</h2>
      <ul aria-labelledby={id}>
        {places.map(place => (
          <li key={place.to}>
            <PlaceLink place={place} />
          </li>
        ))}
      </ul>
    </>
  )
}

function PlaceLink({ place: { to, name, icon } }: { readonly place: Place }): ReactElement {
  return (
    <Link to={to} activeOptions={{ exact: to === '/' }} activeProps={{ 'aria-current': 'page' }}>
      <Icon name={icon} /> {name}
    </Link>
  )
}
