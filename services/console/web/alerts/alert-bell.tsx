/**
 * The bell in the frame of all pages: how many conditions hold, and what began or ended while the page is
 * open.
 */
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useCallback, useEffect, useRef, useState, type ReactElement } from 'react'
import { alertsQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { Icon } from '../ui/icons.tsx'
import { Time } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { toast, type ToastLink } from '../ui/toast.tsx'
import { firingIn, MAX_NOTICES, noticesBetween, textsOf, untold, type PageNotice } from './alert-notices.ts'

export function AlertBell(): ReactElement | null {
  const may = useMay('read')
  const { data } = useQuery({ ...alertsQuery, enabled: may })
  const { notices, unread, read } = useNotices(data?.alerts)
  const panel = useRef<HTMLDetailsElement>(null)
  if (data === undefined || data.alerts.length === 0) return null
  const firing = firingIn(data.alerts)
  const over = notices.filter(({ state }) => state === 'recovered')
  const holds = firing.length === 1 ? 'condition of an alert holds' : 'conditions of alerts hold'
  const close = (): void => {
    if (panel.current !== null) panel.current.open = false
  }
  return (
    <details
      ref={panel}
      className="bell"
      onToggle={({ currentTarget }) => {
        if (currentTarget.open) read()
      }}
      onKeyDown={({ key }) => {
        if (key === 'Escape') close()
      }}
      onBlur={({ currentTarget, relatedTarget }) => {
        if (!currentTarget.contains(relatedTarget)) close()
      }}
    >
      <summary title="Alerts" data-firing={firing.length > 0}>
        <Icon name="alerts" />
        {firing.length === 0 ? (
          <span className="hidden">No alert fires</span>
        ) : (
          <span>
            {firing.length}
            <span className="hidden"> {holds}</span>
          </span>
        )}
        {unread === 0 ? null : <span className="unread">{unread} new</span>}
      </summary>
      <div className="bell-panel">
        <Notices title="Now" notices={firing} empty="No alert fires." />
        {over.length === 0 ? null : <Notices title="Over" notices={over} empty="" />}
        <Link to="/alerts" onClick={close}>
          All alerts
        </Link>
      </div>
    </details>
  )
}

interface NoticesProps {
  readonly title: string
  readonly notices: readonly PageNotice[]
  readonly empty: string
}

function Notices({ title, notices, empty }: NoticesProps): ReactElement {
  return (
    <>
      <strong>{title}</strong>
      {notices.length === 0 ? <p className="quiet">{empty}</p> : null}
      <ul>
        {notices.map(({ id, state, alert, sync, text, at }) => (
          <li key={id}>
            <Link to="/syncs/$name" params={{ name: sync }}>
              {sync}
            </Link>
            : {state === 'firing' ? <ServerMessage text={text} quotes /> : 'this is over'}{' '}
            <small>
              <bdi>{alert}</bdi> · <Time at={at} />
            </small>
          </li>
        ))}
      </ul>
    </>
  )
}

interface Noticed {
  /** The notices since the page was opened, the newest first. */
  readonly notices: readonly PageNotice[]
  /** The number of them that came since the bell was last opened. */
  readonly unread: number
  readonly read: () => void
}

/**
 * Each notice is also shown at the edge of the page, once. What held before the page was opened is no news.
 */
function useNotices(alerts: Parameters<typeof firingIn>[0] | undefined): Noticed {
  const [notices, setNotices] = useState<readonly PageNotice[]>([])
  const [unread, setUnread] = useState(0)
  const before = useRef<readonly PageNotice[] | null>(null)
  const told = useRef(new Set<string>())
  const navigate = useNavigate()
  useEffect(() => {
    if (alerts === undefined) return
    const now = firingIn(alerts)
    const since = before.current
    before.current = now
    if (since === null) {
      untold(told.current, now)
      return
    }
    const due = untold(told.current, noticesBetween(since, now, new Date().toISOString()))
    if (due.length === 0) return
    setNotices(known => [...due, ...known].slice(0, MAX_NOTICES))
    setUnread(count => count + due.length)
    for (const { text, sync } of textsOf(due)) toast('notice', text, linkTo(sync, navigate))
  }, [alerts, navigate])
  const read = useCallback(() => setUnread(0), [])
  return { notices, unread, read }
}

/** Null leads to all alerts. */
function linkTo(sync: string | null, navigate: ReturnType<typeof useNavigate>): ToastLink {
  return sync === null
    ? { text: 'Show the alerts', href: '/alerts', follow: () => navigate({ to: '/alerts' }) }
    : {
        ...{ text: `Show ${sync}`, href: `/syncs/${encodeURIComponent(sync)}` },
        follow: () => navigate({ to: '/syncs/$name', params: { name: sync } }),
      }
}
