/** The first failure of a run's rows: mostly the cause of all others. */
import type { RunView } from '@sluice/contracts/api'
import { Link } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { count as inWords, rows } from '../ui/format.ts'
import { Time } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { HttpStatus } from '../ui/status.tsx'

type FirstError = NonNullable<RunView['firstError']>

/** The message, or the status where there is none. */
export function causeText({ error, status }: Pick<FirstError, 'error' | 'status'>): string {
  return error ?? (status === null ? 'No reason is known.' : `HTTP ${status}`)
}

/** The message without the status at its start, for a place where the status stands beside it. */
export function withoutStatus({ error, status }: Pick<FirstError, 'error' | 'status'>): string {
  const start = `HTTP ${status ?? ''}`
  const text = causeText({ error, status })
  return status !== null && text.startsWith(`${start}: `) ? text.slice(start.length + 2) : text
}

export function FirstCause({ run }: { readonly run: RunView }): ReactElement | null {
  const { firstError, sync, id } = run
  if (firstError === undefined) return null
  const { status, count, retried = 0, since, key } = firstError
  return (
    <section
      className="first-cause"
      aria-label="First cause"
      data-tone={run.failing === true ? 'bad' : 'warn'}
    >
      <p>
        <strong>First cause</strong> <HttpStatus status={status} />{' '}
        <span className="group-error">
          <ServerMessage text={withoutStatus(firstError)} quotes={status !== null} />
        </span>
      </p>
      <p className="quiet">
        {rows(count)}
        {retried === 0
          ? ''
          : retried === count
            ? ', tried again in this run'
            : `, ${rows(retried)} tried again`}
        {since === undefined ? null : (
          <>
            {' '}
            · first <Time at={since} />
          </>
        )}{' '}
        · for example{' '}
        <Link to="/requests" search={{ sync, run: id, key }}>
          the requests of <code>{key}</code>
        </Link>
      </p>
    </section>
  )
}

/** The rows of the model that could not be sent, each with the reason. */
export function InvalidRows({ run }: { readonly run: RunView }): ReactElement | null {
  const { rowsInvalid, rowsRead, invalidRows = [], sync } = run
  if (rowsInvalid === 0) return null
  return (
    <section className="first-cause" aria-label="Invalid rows" data-tone="warn">
      <p>
        <strong>Invalid rows</strong> {inWords(rowsInvalid)} of {rows(rowsRead)} of the model{' '}
        {rowsInvalid === 1 ? 'was' : 'were'} not sent.{' '}
        <Link to="/syncs/$name/edit" params={{ name: sync }} search={{ step: 'model' }}>
          Look at the model
        </Link>
      </p>
      {invalidRows.length === 0 ? null : (
        <ul className="plain-list">
          {invalidRows.map(({ key, reason }, index) => (
            <li key={index}>
              {key === null ? 'A row without a key' : <code>{key}</code>}: <ServerMessage text={reason} />
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
