/** The keys of the console. They do nothing while somebody types. */
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef, type ReactElement } from 'react'
import { Dialog } from '../ui/dialog.tsx'

export interface Place {
  readonly to:
    '/' | '/runs' | '/requests' | '/resources' | '/secrets' | '/alerts' | '/tokens' | '/audit' | '/system'
  readonly name: string
  /** The key to press after `g`. */
  readonly key: string
}

interface KeysProps {
  readonly places: readonly Place[]
  readonly onPalette: () => void
  readonly onHelp: () => void
}

const SEQUENCE_MS = 1_500

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName)
}

/** An event from a text field in a shadow tree, such as an editor's, shows only the host as its target. */
function isTypingIn(event: KeyboardEvent): boolean {
  return event.composedPath().some(isTyping)
}

export function useKeys({ places, onPalette, onHelp }: KeysProps): void {
  const navigate = useNavigate()
  const wentAt = useRef(0)
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const isPalette = event.key === 'k' && (event.ctrlKey || event.metaKey)
      if (!isPalette && (event.ctrlKey || event.metaKey || event.altKey || isTypingIn(event))) return
      if (document.querySelector('dialog[open]') !== null) return
      const place = places.find(({ key }) => key === event.key)
      if (place !== undefined && Date.now() - wentAt.current < SEQUENCE_MS) void navigate({ to: place.to })
      else if (event.key === 'g') wentAt.current = Date.now()
      else if (event.key === 'k') onPalette()
      else if (event.key === '?') onHelp()
      else if (event.key === 'n') void navigate({ to: '/new' })
      else if (event.key === '/') focusSearch()
      else return
      event.preventDefault()
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [navigate, onHelp, onPalette, places])
}

function focusSearch(): void {
  const search = document.querySelector('main input[type=search]')
  if (search instanceof HTMLElement) search.focus()
}

export function KeysHelp(props: {
  readonly places: readonly Place[]
  readonly onClose: () => void
}): ReactElement {
  const { places, onClose } = props
  const keys: readonly (readonly [readonly string[], string])[] = [
    [['k'], 'Find a sync, a page or something to do'],
    [['/'], 'Search on this page'],
    [['n'], 'Set up a new sync'],
    ...places.map(({ key, name }) => [['g', key], `Go to ${name}`] as const),
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
