/** The alerts: their syncs and conditions, those that fire now, and notices that could not be sent. */
import type { AlertView } from '@sluice/contracts/specs/alert-views'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { call } from '../api/client.ts'
import { alertsQuery } from '../api/queries.ts'
import { useMay, whyOff } from '../api/session.ts'
import { Badge } from '../ui/status.tsx'
import { ForRole } from '../ui/for-role.tsx'
import { many } from '../ui/format.ts'
import { Empty, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { toast, toastError } from '../ui/toast.tsx'

const NEW_ALERT = (
  <ForRole role="edit" label="New alert" className="primary">
    <Link to="/alerts/new" className="button primary">
      New alert
    </Link>
  </ForRole>
)

export function AlertsPage(): ReactElement {
  const { data, error, isPending } = useQuery(alertsQuery)
  return (
    <Page
      title="Alerts"
      lead="Each alert sends a notice when a condition begins, and again when it is over."
      {...(data === undefined || data.alerts.length === 0 ? {} : { actions: NEW_ALERT })}
    >
      {isPending ? (
        <Loading />
      ) : data === undefined ? (
        <Trouble error={error} />
      ) : data.alerts.length === 0 ? (
        <Section title="None yet">
          <Empty title="No alert watches your syncs yet.">
            <p>
              An alert tells Slack, a webhook or people by e-mail when a run fails, when rows are not
              delivered, or when a sync stays silent.
            </p>
            <p>{NEW_ALERT}</p>
          </Empty>
        </Section>
      ) : (
        data.alerts.map(alert => <OneAlert key={alert.name} alert={alert} />)
      )}
    </Page>
  )
}

const STATE = { ok: 'good', firing: 'bad', unwatched: 'calm' } as const

function OneAlert({ alert }: { readonly alert: AlertView }): ReactElement {
  const { name, title, syncs, when, to, state, firing, lastNotice, undelivered } = alert
  return (
    <Section
      title={title ?? name}
      aside={
        <div className="actions">
          <Badge tone={STATE[state]} text={state} />
          <Link to="/resources/$kind/$name/edit" params={{ kind: 'alert', name }} className="button small">
            Edit<span className="hidden"> {name}</span>
          </Link>
          <TestAlert name={name} />
        </div>
      }
    >
      <div className="pad">
        <p className="quiet">
          {title === null ? null : (
            <>
              <code>{name}</code> ·{' '}
            </>
          )}
          {syncs === 'all' ? 'All syncs' : syncs.join(', ')} · {when.join(', ')} · notifies {to.kind}{' '}
          {to.address}
          {lastNotice === null ? '' : ' · last notice '}
          {lastNotice === null ? null : <Time at={lastNotice.at} />}
        </p>
        {firing.length === 0 ? null : (
          <ul className="plain-list">
            {firing.map(({ sync, condition, since, run, text }) => (
              <li key={`${sync} ${condition}`}>
                <Link to="/syncs/$name" params={{ name: sync }}>
                  {sync}
                </Link>
                : <ServerMessage text={text} quotes /> · since <Time at={since} />
                {run === null ? null : (
                  <>
                    {' '}
                    ·{' '}
                    <Link to="/runs/$id" params={{ id: run }}>
                      the run
                    </Link>
                  </>
                )}
              </li>
            ))}
          </ul>
        )}
        {undelivered === null ? null : (
          <p className="bad">
            {undelivered.notices === 1 ? 'A notice' : `${undelivered.notices} notices`} could not be sent,
            after {many(undelivered.tries, 'attempt', 'attempts')}: <ServerMessage text={undelivered.error} />{' '}
            The next attempt is <Time at={undelivered.nextTryAt} isToCome />.
          </p>
        )}
      </div>
    </Section>
  )
}

function TestAlert({ name }: { readonly name: string }): ReactElement {
  const may = useMay('edit')
  const [busy, setBusy] = useState(false)
  const test = async (): Promise<void> => {
    setBusy(true)
    try {
      const { to } = await call('testAlert', { name })
      toast('done', `A test notice has reached ${to}.`)
    } catch (error) {
      toastError(error)
    } finally {
      setBusy(false)
    }
  }
  return (
    <button
      type="button"
      className="small"
      disabled={busy || !may}
      title={may ? undefined : whyOff('edit')}
      onClick={() => void test()}
    >
      {busy ? 'Sending…' : 'Send a test notice'}
    </button>
  )
}
