/**
 * The keys of the console. They do nothing while somebody types, even if the field disappears meanwhile. Keys
 * that leave the page do nothing within a form either.
 */
import { useNavigate } from '@tanstack/react-router'
import { useCallback, useEffect, useRef, type ReactElement } from 'react'
import { useMay } from '../api/session.ts'
import { Dialog } from '../ui/dialog.tsx'
import { PLACES } from './places.ts'

interface KeysProps {
  readonly onPalette: () => void
  readonly onHelp: () => void
}

const SEQUENCE_MS = 1_500

/** In these, letters are typed or choose an entry, so they do not leave the page. */
const TYPED_INTO: ReadonlySet<string> = new Set(['textbox', 'combobox', 'listbox', 'menu', 'spinbutton'])

function isTyping(target: EventTarget): boolean {
  if (!(target instanceof HTMLElement)) return false
  if (target.isContentEditable || TYPED_INTO.has(target.role ?? '')) return true
  return ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName)
}

const isForm = (target: EventTarget): boolean => target instanceof Element && target.matches('form, .editor')
/** A field in a dialog goes away because somebody closed the dialog. */
const isDialog = (target: EventTarget): boolean =>
  target instanceof Element && target.matches('dialog, [role=dialog]')

/**
 * Tells where the next key goes, by the element that had the focus last. A field that is drawn again loses
 * the focus to the page, although its user goes on typing.
 */
function useFocus(): (event: KeyboardEvent) => 'field' | 'form' | 'page' {
  const last = useRef<{ readonly element: Element; readonly isInForm: boolean } | null>(null)
  useEffect(() => {
    const focused = (event: FocusEvent): void => {
      // An event from a shadow tree, such as an editor's, shows only the host as its target.
      const path = event.composedPath()
      const [element] = path
      const isInForm = !path.some(isDialog) && (path.some(isTyping) || path.some(isForm))
      last.current = element instanceof Element ? { element, isInForm } : null
    }
    const moved = (): void => {
      last.current = null
    }
    addEventListener('focusin', focused)
    addEventListener('pointerdown', moved)
    return () => {
      removeEventListener('focusin', focused)
      removeEventListener('pointerdown', moved)
    }
  }, [])
  return useCallback(event => {
    const path = event.composedPath()
    const { element, isInForm } = last.current ?? { element: document.body, isInForm: false }
    const isGone = document.activeElement === document.body && !element.isConnected
    if (path.some(isTyping) || (isGone && isInForm)) return 'field'
    return path.some(isForm) ? 'form' : 'page'
  }, [])
}

export function useKeys({ onPalette, onHelp }: KeysProps): void {
  const navigate = useNavigate()
  const wentAt = useRef(0)
  const placeOf = useFocus()
  const mayEdit = useMay('edit')
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const isPalette = event.key === 'k' && (event.ctrlKey || event.metaKey)
      const at = placeOf(event)
      if (!isPalette && (event.ctrlKey || event.metaKey || event.altKey || at === 'field')) return
      if (document.querySelector('[role=dialog]') !== null) return
      if (at === 'form' && !['k', '?', '/'].includes(event.key)) return
      const place = PLACES.find(({ key }) => key === event.key)
      if (place !== undefined && Date.now() - wentAt.current < SEQUENCE_MS) void navigate({ to: place.to })
      else if (event.key === 'g') wentAt.current = Date.now()
      else if (event.key === 'k') onPalette()
      else if (event.key === '?') onHelp()
      else if (event.key === 'n' && mayEdit) void navigate({ to: '/new' })
      else if (event.key === '/') focusSearch()
      else return
      event.preventDefault()
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [mayEdit, navigate, onHelp, onPalette, placeOf])
}

function focusSearch(): void {
  const search = document.querySelector('main input[type=search]')
  if (search instanceof HTMLElement) search.focus()
}

export function KeysHelp({ onClose }: { readonly onClose: () => void }): ReactElement {
  const keys: readonly (readonly [readonly string[], string])[] = [
    [['k'], 'Find a sync, a page or something to do'],
    [['/'], 'Search on this page'],
    [['n'], 'Set up a new sync'],
    ...PLACES.map(({ key, name }) => [['g', key], `Go to ${name}`] as const),
    [['Ctrl', 'Enter'], 'In an editor: save'],
    [['Esc'], 'Close what is open'],
    [['?'], 'This list'],
  ]
  return (
    <Dialog title="Keys" onClose={onClose}>
      <table className="keys">
        <tbody>
          {keys.map(([pressed, what]) => (
            <tr key={what}>
              <th scope="row">
                {pressed.map(key => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </th>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Dialog>
  )
}
