/**
 * Dialogs on the browser's own `<dialog>`: it keeps the focus inside, closes on Escape, and gives the focus
 * back.
 */
import { messageOf } from '@sluice/contracts/errors'
import { useId, useLayoutEffect, useRef, useState, type ReactElement, type ReactNode } from 'react'
import { Told } from './told.tsx'

interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  readonly children: ReactNode
  readonly wide?: boolean
}

export function Dialog({ title, onClose, children, wide = false }: DialogProps): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  // Closed while it still stands in the page: only then does the browser give the focus back.
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

/** What somebody fills in first; else what leaves all as it is. Left alone, the browser takes what closes. */
function firstIn(dialog: HTMLDialogElement | null): HTMLElement | null {
  const field = 'input:not([type=file], :disabled), textarea, select'
  return dialog?.querySelector<HTMLElement>(field) ?? dialog?.querySelector('.dialog-actions button') ?? null
}

interface ConfirmProps {
  readonly title: string
  readonly children: ReactNode
  /** What the button says, such as `Reset this sync`. */
  readonly action: string
  readonly dangerous?: boolean
  /** A text that must be typed first, for what cannot be undone. */
  readonly typed?: string
  /** False while what the question is about is not known. Default: true. */
  readonly isReady?: boolean
  readonly wide?: boolean
  readonly onConfirm: () => Promise<unknown>
  readonly onClose: () => void
}

/** A question before what cannot be undone. */
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
      // A message at the edge of the page would stand behind the dialog.
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
            <Told text={error} />
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
