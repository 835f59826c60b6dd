/** The small parts of all pages. */
import { Skeleton } from '@mantine/core'
import { messageOf } from '@sluice/contracts/errors'
import { useQueryClient } from '@tanstack/react-query'
import {
  useEffect,
  useId,
  useRef,
  useState,
  useSyncExternalStore,
  type ReactElement,
  type ReactNode,
} from 'react'
import { ApiError } from '../api/client.ts'
import { Button, ButtonLink } from './button.tsx'
import { fromNow, localTime, untilDue, utcTime } from './format.ts'
import { Late } from './late.tsx'
import { placeOf } from './places.ts'
import { toast } from './toast.tsx'
import { ServerMessage } from './server-message.tsx'

/** The attributes of a field for a name: the rule is that of all names. */
export const NAME_FIELD = {
  pattern: String.raw`[a-z0-9]([a-z0-9\-]{0,61}[a-z0-9])?`,
  title: 'Lower case letters, digits and -',
  required: true,
} as const

/** Ticks for times that are shown relative to now. */
const TICK_MS = 5_000

export function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}

/** All times of a page are updated together, and only those with another text are drawn. */
const ticked = new Set<() => void>()

function whenTicked(listener: () => void): () => void {
  if (ticked.size === 0) ticking = setInterval(() => ticked.forEach(each => each()), TICK_MS)
  ticked.add(listener)
  return () => {
    ticked.delete(listener)
    if (ticked.size === 0) clearInterval(ticking)
  }
}
let ticking: ReturnType<typeof setInterval> | undefined

/** An instant relative to now. Its title has the exact time, in the user's zone and in UTC. */
export function Time({
  at,
  exact = false,
  isToCome = false,
}: {
  readonly at: string
  readonly exact?: boolean
  /** True for the time of something that has not happened, although its time may have come. */
  readonly isToCome?: boolean
}): ReactElement {
  const inWords = isToCome ? untilDue : fromNow
  const text = useSyncExternalStore(whenTicked, () => (exact ? localTime(at) : inWords(at, Date.now())))
  return (
    <time dateTime={at} title={`${localTime(at)} · ${utcTime(at)}`}>
      {text}
    </time>
  )
}

interface PageProps {
  readonly title: string
  readonly lead?: ReactNode
  readonly actions?: ReactNode
  readonly children: ReactNode
}

export function Page({ title, lead, actions, children }: PageProps): ReactElement {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = `${title} · Sluice`
    // A screen reader reads the new title, and the next Tab leads into the page. The focus needs the layout,
    // which the browser makes for the next frame anyway.
    const frame = requestAnimationFrame(() => {
      const at = document.activeElement
      if (at === document.body || document.querySelector('.side')?.contains(at) === true)
        heading.current?.focus()
    })
    return () => cancelAnimationFrame(frame)
  }, [title])
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {lead === undefined ? null : <p className="lead">{lead}</p>}
        </div>
        {actions === undefined ? null : <div className="actions">{actions}</div>}
      </header>
      {children}
    </div>
  )
}

export function Section(props: {
  readonly title: string
  readonly aside?: ReactNode
  readonly children: ReactNode
}): ReactElement {
  const id = useId()
  return (
    <section className="card" aria-labelledby={id}>
      <header className="card-head">
        <h2 id={id}>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  )
}

/** The text in place of an empty list: what would be there, and how it gets there. */
export function Empty({
  title,
  children,
}: {
  readonly title: string
  readonly children?: ReactNode
}): ReactElement {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children}
    </div>
  )
}

/** Keeps the place of contents that are loading, so that nothing jumps. It says so if they do not come. */
export function Loading({ lines = 4 }: { readonly lines?: number }): ReactElement {
  return (
    <div className="loading" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <Skeleton key={line} height={18} />
      ))}
      <Late />
    </div>
  )
}

/** An error with its places, and a button to try again. */
export function Trouble({
  error,
  brief = false,
  onRetry,
}: {
  readonly error: unknown
  /** True if the message contains its details. */
  readonly brief?: boolean
  readonly onRetry?: () => void
}): ReactElement {
  const client = useQueryClient()
  const message = messageOf(error)
  const details = error instanceof ApiError && !brief ? error.details : []
  const again = onRetry ?? (() => void client.refetchQueries({ type: 'active' }))
  return (
    <div className="trouble" role="alert">
      <p>
        <ServerMessage text={message} />
      </p>
      {details.length === 0 ? null : (
        <ul>
          {details.map((detail, index) => (
            <li key={index}>
              <ServerMessage text={[placeOf(detail), detail.message].filter(Boolean).join(': ')} />
            </li>
          ))}
        </ul>
      )}
      <div className="actions">
        <Button onClick={again}>Try again</Button>
        {/* Another attempt does not help if something does not exist. */}
        {error instanceof ApiError && error.status === 404 ? (
          <ButtonLink to="/">To the overview</ButtonLink>
        ) : null}
      </div>
    </div>
  )
}

export function CopyButton({
  text,
  label = 'Copy',
}: {
  /** The text may be a function, for a text that takes long to make. */
  readonly text: string | (() => string)
  readonly label?: string
}): ReactElement {
  return (
    <button
      type="button"
      className="small"
      onClick={() => {
        navigator.clipboard.writeText(typeof text === 'string' ? text : text()).then(
          () => toast('done', 'Copied.'),
          () => toast('failed', 'The browser does not let this page use the clipboard.'),
        )
      }}
    >
      {label}
    </button>
  )
}

/** Name and value pairs. */
export function Facts({
  facts,
}: {
  readonly facts: readonly (readonly [string, ReactNode])[]
}): ReactElement {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
