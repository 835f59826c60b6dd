/** Dialogs: they keep the focus inside, close on Escape, and give the focus back to where it was. */
import { messageOf } from '@sluice/contracts/errors'
import { lazy, Suspense, useLayoutEffect, useState, type ReactElement, type ReactNode } from 'react'
import { Button } from './button.tsx'
import { ServerMessage } from './server-message.tsx'
import { whenIdle } from './when-idle.ts'

/** No first screen shows a dialog. So its script may come this long after the page. */
const LOAD_AFTER_MS = 1_000
const LATEST_MS = 5_000
const Modal = lazy(async () => ({ default: (await import('./modal.tsx')).Modal }))

/** Loads the script of dialogs once the page is idle, so that the first dialog of a page opens at once. */
export function loadDialogsLater(): void {
  const load = (): void => void import('./modal.tsx').catch(() => undefined)
  setTimeout(() => whenIdle(load, LATEST_MS), LOAD_AFTER_MS)
}

interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  readonly children: ReactNode
  readonly wide?: boolean
}

export function Dialog({ wide = false, ...props }: DialogProps): ReactElement {
  useLayoutEffect(() => {
    const before = document.activeElement
    return () => {
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])
  return (
    <Suspense>
      <Modal wide={wide} {...props} />
    </Suspense>
  )
}

/** True if the event comes from a dialog, which handles Escape itself. */
export const isInDialog = ({ target }: { readonly target: EventTarget }): boolean =>
  target instanceof Element && target.closest('[role=dialog]') !== null

interface ConfirmProps {
  readonly title: string
  readonly children: ReactNode
  /** The text of the button, such as `Reset this sync`. */
  readonly action: string
  readonly dangerous?: boolean
  /** The text of the button that does nothing. Default: `Cancel`. */
  readonly leave?: string
  /** A text that the user has to type before an action that cannot be undone. */
  readonly typed?: string
  /** False while the data of the question is loading. Default: true. */
  readonly isReady?: boolean
  readonly wide?: boolean
  readonly onConfirm: () => Promise<unknown>
  readonly onClose: () => void
}

/** A question before an action. */
export function Confirm(props: ConfirmProps): ReactElement {
  const { title, children, action, dangerous = false, typed, isReady = true, onConfirm, onClose } = props
  const { leave = 'Cancel' } = props
  const [busy, setBusy] = useState(false)
  const [text, setText] = useState('')
  const [error, setError] = useState<string | null>(null)
  const confirm = async (): Promise<void> => {
    setBusy(true)
    setError(null)
    try {
      await onConfirm()
      onClose()
    } catch (failure) {
      // A toast would be hidden behind the dialog.
      setError(messageOf(failure))
      setBusy(false)
    }
  }
  return (
    <Dialog title={title} onClose={onClose} wide={props.wide ?? false}>
      <form
        onSubmit={event => {
          event.preventDefault()
          void confirm()
        }}
      >
        {children}
        {typed === undefined ? null : (
          <label className="field">
            <span>
              Type <code>{typed}</code> to go on
            </span>
            <input value={text} onChange={event => setText(event.target.value)} autoComplete="off" />
          </label>
        )}
        {error === null ? null : (
          <p className="field-error" role="alert">
            <ServerMessage text={error} />
          </p>
        )}
        <footer className="dialog-actions">
          <Button onClick={onClose}>{leave}</Button>
          <Button
            type="submit"
            variant={dangerous ? 'outline' : 'filled'}
            disabled={busy || !isReady || (typed !== undefined && text !== typed)}
          >
            {action}
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}
