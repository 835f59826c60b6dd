/** Messages of the server, with commands shown as code or as links. */
import { useRouter } from '@tanstack/react-router'
import { Fragment, type MouseEvent, type ReactElement, type ReactNode } from 'react'
import { placeOfCommand, type NamedPlace } from './commands-as-links.ts'

/**
 * A message of the server. Text in backticks is shown as code. A command that a page can do, too, becomes a
 * link to that page.
 */
export function ServerMessage({ text }: { readonly text: string }): ReactNode {
  const parts = text.split('`')
  // A single backtick is a plain character.
  if (parts.length % 2 === 0) return text
  return parts.map((part, index) => {
    if (index % 2 === 0) return <Fragment key={index}>{part}</Fragment>
    const place = placeOfCommand(part)
    return place === null ? <code key={index}>{part}</code> : <ToPlace key={index} place={place} />
  })
}

function ToPlace({ place: { href, text } }: { readonly place: NamedPlace }): ReactElement {
  // Toasts stand outside of the pages, where there is no router.
  const router = useRouter({ warn: false })
  const go = (event: MouseEvent): void => {
    const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
    if (!isPlain || !isRouter(router)) return
    event.preventDefault()
    router.history.push(href)
  }
  return (
    <a href={href} onClick={go}>
      {text}
    </a>
  )
}

/** False outside of the pages, although the hook's type promises a router. */
function isRouter(router: unknown): boolean {
  return typeof router === 'object' && router !== null
}
