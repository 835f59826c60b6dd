/** Messages of the server, as people read them on a page. */
import { useRouter } from '@tanstack/react-router'
import { Fragment, type MouseEvent, type ReactElement, type ReactNode } from 'react'
import { placeOfCommand, type NamedPlace } from './commands-as-links.ts'

/**
 * A message of the server. What stands in backticks there is code, or leads to where a page does the same.
 */
export function Told({ text }: { readonly text: string }): ReactNode {
  const parts = text.split('`')
  // A backtick without its other half is a character like any other.
  if (parts.length % 2 === 0) return text
  return parts.map((part, index) => {
    if (index % 2 === 0) return <Fragment key={index}>{part}</Fragment>
    const place = placeOfCommand(part)
    return place === null ? <code key={index}>{part}</code> : <ToPlace key={index} place={place} />
  })
}

function ToPlace({ place: { href, text } }: { readonly place: NamedPlace }): ReactElement {
  // Toasts stand outside of the pages.
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

/** Its type says that there always is one. */
function isRouter(router: unknown): boolean {
  return typeof router === 'object' && router !== null
}
