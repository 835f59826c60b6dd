/**
 * Dialogs on the browser's own `<dialog>`: it keeps the focus inside, closes on Escape, and gives the focus
 * back.
 */
import { messageOf } from '@sluice/contracts/errors'
import { useId, useLayoutEffect, useRef, useState, type ReactElement, type ReactNode } from 'react'
import { ServerMessage } from './server-message.tsx'

interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  readonly children: ReactNode
  readonly wide?: boolean
}

export function Dialog({ title, onClose, children, wide = false }: DialogProps): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  // The dialog is closed while it is still in the page: only then does the browser give the focus back.
  useLayoutEffect(() => {
    const shown = dialog.current
    shown?.showModal()
    firstIn(shown)?.focus()
    return () => shown?.close()
  }, [])
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      className={wide ? 'wide' : undefined}
      onCancel={event => {
        event.preventDefault()
        onClose()
      }}
      onClick={event => {
        if (event.target === dialog.current) onClose()
      }}
    >
      <div className="dialog-body">
        <header>
          <h2 id={id}>{title}</h2>
          <button type="button" className="plain" aria-label="Close" onClick={onClose}>
            ✕
          </button>
        </header>
        {children}
      </div>
    </dialog>
  )
}

/** The element for the first focus: a field, else the button that cancels. The browser would choose Close. */
function firstIn(dialog: HTMLDialogElement | null): HTMLElement | null {
  const field = 'input:not([type=file], :disabled), textarea, select'
  return dialog?.querySelector<HTMLElement>(field) ?? dialog?.querySelector('.dialog-actions button') ?? null
}

interface ConfirmProps {
  readonly title: string
  readonly children: ReactNode
  /** The text of the button, such as `Reset this sync`. */
  readonly action: string
  readonly dangerous?: boolean
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
          <button type="button" onClick={onClose}>
            Leave it
          </button>
          <button
            type="submit"
            className={dangerous ? 'danger' : 'primary'}
            disabled={busy || !isReady || (typed !== undefined && text !== typed)}
          >
            {action}
          </button>
        </footer>
      </form>
    </Dialog>
  )
}
