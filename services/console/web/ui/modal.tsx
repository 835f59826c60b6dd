/** The library's dialog. It is loaded apart from the first screen, which shows none (dialog.tsx). */
import { Modal as LibraryModal } from '@mantine/core'
import '@mantine/core/styles/Overlay.layer.css'
import '@mantine/core/styles/Paper.layer.css'
import '@mantine/core/styles/ModalBase.layer.css'
import '@mantine/core/styles/Modal.layer.css'
import type { ReactElement, ReactNode } from 'react'

export interface ModalProps {
  readonly title: string
  readonly onClose: () => void
  readonly children: ReactNode
  readonly wide: boolean
}

export function Modal({ title, onClose, children, wide }: ModalProps): ReactElement {
  return (
    <LibraryModal
      opened
      onClose={onClose}
      title={title}
      className="dialog"
      size={wide ? 1000 : 520}
      padding={20}
      radius="var(--radius)"
      closeButtonProps={{ 'aria-label': 'Close' }}
      transitionProps={{ duration: 0 }}
      overlayProps={{ transitionProps: { duration: 0 } }}
      // The lock would need a `<style>`, which the policy forbids. dialog.tsx gives the focus back.
      lockScroll={false}
      returnFocus={false}
    >
      <div ref={focusFirst} className="dialog-body">
        {children}
      </div>
    </LibraryModal>
  )
}

/**
 * Focuses the field that is marked as the first one, else a field, else the button that cancels. The library
 * would choose the button that closes.
 */
function focusFirst(body: HTMLElement | null): void {
  const field =
    body?.querySelector<HTMLElement>('[data-first]') ??
    body?.querySelector<HTMLElement>('input:not([type=file], :disabled), textarea, select')
  const first = field ?? body?.querySelector<HTMLElement>('.dialog-actions button')
  first?.setAttribute('data-autofocus', '')
  first?.focus()
}
