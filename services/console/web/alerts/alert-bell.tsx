/**
 * The bell in the frame of all pages: how many conditions hold, and what began or ended while the page is
 * open.
 */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useEffect, useRef, useState, type ReactElement } from 'react'
import { alertsQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { many } from '../ui/format.ts'
import { Icon } from '../ui/icons.tsx'
import { Time } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { toast } from '../ui/toast.tsx'
import { firingIn, MAX_NOTICES, noticesBetween, type PageNotice } from './alert-notices.ts'

export function AlertBell(): ReactElement | null {
  const may = useMay('read')
  const { data } = useQuery({ ...alertsQuery, enabled: may })
  const notices = useNotices(data?.alerts)
  const panel = useRef<HTMLDetailsElement>(null)
  if (data === undefined || data.alerts.length === 0) return null
  const firing = firingIn(data.alerts)
  const over = notices.filter(({ state }) => state === 'recovered')
  const name =
    firing.length === 0
      ? 'No alert fires'
      : `${many(firing.length, 'condition', 'conditions')} of alerts hold`
  const close = (): void => {
    if (panel.current !== null) panel.current.open = false
  }
  return (
    <details
      ref={panel}
      className="bell"
      onKeyDown={({ key }) => {
        if (key === 'Escape') close()
      }}
      onBlur={({ currentTarget, relatedTarget }) => {
        if (!currentTarget.contains(relatedTarget)) close()
      }}
    >
      <summary aria-label={name} title={name} data-firing={firing.length > 0}>
        <Icon name="alerts" />
        {firing.length === 0 ? null : firing.length}
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

/** The notices since the page was opened, the newest first. Each is also shown at the edge of the page. */
function useNotices(alerts: Parameters<typeof firingIn>[0] | undefined): readonly PageNotice[] {
  const [notices, setNotices] = useState<readonly PageNotice[]>([])
  const before = useRef<readonly PageNotice[] | null>(null)
  useEffect(() => {
    if (alerts === undefined) return
    const now = firingIn(alerts)
    const due = before.current === null ? [] : noticesBetween(before.current, now, new Date().toISOString())
    before.current = now
    if (due.length === 0) return
    setNotices(known => [...due, ...known].slice(0, MAX_NOTICES))
    for (const { state, alert, sync, text } of due)
      if (state === 'firing') toast('failed', `${alert}: ${sync}: ${text}`)
      else toast('done', `${alert}: ${sync}: this is over.`)
  }, [alerts])
  return notices
}
