/** Short messages at the edge of the page. Screen readers read them out. */
import { Notification } from '@mantine/core'
import { messageOf } from '@sluice/contracts/errors'
import { useEffect, useSyncExternalStore, type ReactElement } from 'react'
import { ServerMessage } from './server-message.tsx'

interface Toast {
  readonly id: number
  readonly kind: 'done' | 'failed' | 'notice'
  readonly text: string
  readonly link?: ToastLink | undefined
}

/** A link to a page. `follow` opens it without loading the application again. */
export interface ToastLink {
  readonly text: string
  readonly href: string
  readonly follow: () => unknown
}

const SHOWN_MS = 6_000
/** A notice comes while somebody does something else. */
const NOTICE_MS = 15_000
const MAX_TOASTS = 4

let toasts: readonly Toast[] = []
let lastId = 0
const listeners = new Set<() => void>()

function change(next: readonly Toast[]): void {
  toasts = next
  for (const listener of listeners) listener()
}

export function toast(kind: Toast['kind'], text: string, link?: ToastLink): void {
  lastId += 1
  change([...toasts.slice(1 - MAX_TOASTS), { id: lastId, kind, text, link }])
}

/** Shows the error of something that the user asked for. */
export function toastError(error: unknown): void {
  toast('failed', messageOf(error))
}

const dismiss = (id: number): void => change(toasts.filter(each => each.id !== id))

export function Toasts(): ReactElement {
  const shown = useSyncExternalStore(
    listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => toasts,
  )
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map(each => (
        <ToastItem key={each.id} toast={each} />
      ))}
    </div>
  )
}

function ToastItem({ toast: { id, kind, text, link } }: { readonly toast: Toast }): ReactElement {
  useEffect(() => {
    // An error stays until the user closes it.
    if (kind === 'failed') return undefined
    const timer = setTimeout(() => dismiss(id), kind === 'notice' ? NOTICE_MS : SHOWN_MS)
    return () => clearTimeout(timer)
  }, [id, kind])
  return (
    <Notification
      className="toast"
      data-kind={kind}
      role="presentation"
      onClose={() => dismiss(id)}
      closeButtonProps={{ 'aria-label': 'Close this message' }}
    >
      <ServerMessage text={text} />
      {link === undefined ? null : <LinkOf link={link} onFollow={() => dismiss(id)} />}
    </Notification>
  )
}

function LinkOf({
  link,
  onFollow,
}: {
  readonly link: ToastLink
  readonly onFollow: () => void
}): ReactElement {
  return (
    <>
      {' '}
      <a
        href={link.href}
        onClick={event => {
          if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
          event.preventDefault()
          link.follow()
          onFollow()
        }}
      >
        {link.text}
      </a>
    </>
  )
}
