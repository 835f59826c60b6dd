/** One request and its answer, with all attempts. */
import type { AttemptView, RequestView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useEffect, useRef, useState, type ComponentProps, type ReactElement, type ReactNode } from 'react'
import { call } from '../api/client.ts'
import { useMay, whyOff } from '../api/session.ts'
import { SyncName } from '../syncs/sync-name.tsx'
import { count, duration } from '../ui/format.ts'
import { isInDialog } from '../ui/dialog.tsx'
import { CopyButton, Facts, Loading, Time, Trouble } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { HttpStatus, Outcome } from '../ui/status.tsx'
import { toastError } from '../ui/toast.tsx'
import { BodyView } from './body-view.tsx'
import { asCurl } from './as-curl.ts'
import { MadeBy } from './made-by.tsx'
import { ReplayDialog } from './replay-dialog.tsx'

type Attempt = RequestView['attempts'][number]

interface DetailProps {
  readonly attempt: Attempt
  /** All attempts at the request, this one included. */
  readonly others: readonly Attempt[]
}

/** The id of the attempt's line in the list. */
export const lineId = ({ requestId, attempt }: Pick<AttemptView, 'requestId' | 'attempt'>): string =>
  `attempt-${requestId}.${attempt}`

/** At first, a batch shows this many keys. */
const FIRST_KEYS = 8

/** `open` is the id of a request and, after a dot, the number of an attempt. */
export function OpenRequest({ open }: { readonly open: string }): ReactElement {
  const dot = open.lastIndexOf('.')
  const [id, number] = [open.slice(0, dot), Number(open.slice(dot + 1))]
  const { data, error } = useQuery({
    queryKey: ['request', id],
    queryFn: ({ signal }) => call('getRequest', { requestId: id }, { signal }),
    retry: false,
  })
  const attempt = data?.attempts.find(each => each.attempt === number) ?? data?.attempts.at(-1)
  if (error !== null && data === undefined) return <Trouble error={error} />
  if (attempt === undefined || data === undefined) return <Loading lines={8} />
  return <RequestDetail attempt={attempt} others={data.attempts} />
}

function RequestDetail({ attempt, others }: DetailProps): ReactElement {
  const navigate = useNavigate()
  const { requestId, method, url, sync, run, trigger, status, outcome, error } = attempt
  const [replays, setReplays] = useState(false)
  const mayOperate = useMay('operate')
  const heading = useRef<HTMLHeadingElement>(null)
  // Opening a request moves the focus to it, and closing it back to its line in the list.
  useEffect(() => heading.current?.focus(), [requestId])
  const close = async (): Promise<void> => {
    await navigate({ to: '/requests', search: filter => ({ ...filter, open: undefined }), replace: true })
    document.getElementById(lineId(attempt))?.focus()
  }
  return (
    <section
      className="card request-detail"
      aria-label="The request"
      onKeyDown={event => {
        if (event.key === 'Escape' && !isInDialog(event)) void close().catch(toastError)
      }}
    >
      <header className="card-head">
        <h2 ref={heading} tabIndex={-1}>
          {method} <span className="path">{url}</span>
        </h2>
        <button
          type="button"
          className="plain"
          aria-label="Close the request"
          onClick={() => void close().catch(toastError)}
        >
          ✕
        </button>
      </header>
      {error === null ? null : (
        <p className="group-error" role="note">
          <ServerMessage text={error} quotes={status !== null} />
        </p>
      )}
      <Facts
        facts={[
          ['Answer', wasSent(attempt) ? <HttpStatus key="status" status={status} /> : 'not sent'],
          ['Outcome', <Outcome key="outcome" outcome={outcome} />],
          [
            'Sync',
            <Link key="sync" to="/syncs/$name" params={{ name: sync }}>
              <SyncName name={sync} />
            </Link>,
          ],
          [
            'Run',
            <Link key="run" to="/runs/$id" params={{ id: run }}>
              <code>{run}</code>
            </Link>,
          ],
          ['Trigger', trigger],
          ...timingOf(attempt),
        ]}
      />
      <Attempts attempt={attempt} others={others} />
      <Keys sync={sync} keys={attempt.keys} />
      <div className="side-by-side">
        <Message
          title={wasSent(attempt) ? 'Request' : 'Request, not sent'}
          asItIs={wasSent(attempt) ? 'As sent' : 'As rendered'}
          headers={attempt.requestHeaders}
          body={attempt.requestBody}
          wholeBytes={attempt.requestBodyBytes}
        >
          <span className="actions">
            <CopyButton text={() => asCurl(attempt)} label="Copy as curl" />
            <button
              type="button"
              className="small"
              disabled={!mayOperate}
              title={mayOperate ? undefined : whyOff('operate')}
              onClick={() => setReplays(true)}
            >
              Replay…
            </button>
          </span>
        </Message>
        <Message
          title="Answer"
          asItIs="As received"
          headers={attempt.responseHeaders}
          body={attempt.responseBody}
          wholeBytes={attempt.responseBodyBytes}
        />
      </div>
      <MadeBy key={lineId(attempt)} attempt={attempt} />
      {replays ? (
        <ReplayDialog sync={sync} choice={{ keys: attempt.keys, run }} onClose={() => setReplays(false)} />
      ) : null}
    </section>
  )
}

/** Attempt 0 says that a request was not sent. */
const wasSent = ({ attempt }: Pick<Attempt, 'attempt'>): boolean => attempt > 0

function timingOf(attempt: Attempt): readonly (readonly [string, ReactNode])[] {
  if (!wasSent(attempt)) return []
  const { startedAt, durationMs, timing } = attempt
  const parts = [
    ['Waited in the queue', timing.queuedMs],
    ['of that for limits', timing.limitMs],
    ['First byte after', timing.firstByteMs],
  ] as const
  return [
    ['Sent', <Time key="sent" at={startedAt} exact />],
    ['Took', duration(durationMs)],
    ...parts.flatMap(([name, ms]) => (ms === null ? [] : [[name, duration(ms)] as const])),
  ]
}

function Attempts({ attempt: shown, others }: DetailProps): ReactElement | null {
  const navigate = useNavigate()
  if (others.length < 2) return null
  return (
    <ol className="attempts-of-one" aria-label="Attempts at this request">
      {[...others]
        .sort((one, other) => one.attempt - other.attempt)
        .map(({ attempt, requestId, status, startedAt }) => (
          <li key={attempt}>
            <button
              type="button"
              className="small"
              aria-pressed={attempt === shown.attempt}
              onClick={() =>
                void navigate({
                  to: '/requests',
                  search: filter => ({ ...filter, open: `${requestId}.${attempt}` }),
                  replace: true,
                })
              }
            >
              Try {attempt}: {status ?? 'no answer'}, <Time at={startedAt} />
            </button>
          </li>
        ))}
    </ol>
  )
}

function Keys({ sync, keys }: { readonly sync: string; readonly keys: readonly string[] }): ReactElement {
  const [all, setAll] = useState(false)
  const shown = all ? keys : keys.slice(0, FIRST_KEYS)
  return (
    <p className="row-keys">
      <span className="quiet">{keys.length === 1 ? 'Row' : `${count(keys.length)} rows`}</span>
      {shown.map(key => (
        <Link key={key} to="/syncs/$name/row" params={{ name: sync }} search={{ key }}>
          <code>{key}</code>
        </Link>
      ))}
      {keys.length > shown.length ? (
        <button type="button" className="small" onClick={() => setAll(true)}>
          {keys.length - shown.length} more
        </button>
      ) : null}
    </p>
  )
}

interface MessageProps extends ComponentProps<typeof BodyView> {
  readonly title: string
  readonly headers: AttemptView['requestHeaders']
  readonly children?: ReactElement
}

function Message({ title, headers, body, wholeBytes, asItIs, children }: MessageProps): ReactElement {
  const names = Object.entries(headers)
  return (
    <div className="message">
      <header>
        <h3>{title}</h3>
        {children}
      </header>
      {names.length === 0 ? (
        <p className="quiet">No headers.</p>
      ) : (
        <dl className="headers">
          {names.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
      <BodyView body={body} wholeBytes={wholeBytes} asItIs={asItIs} />
    </div>
  )
}
