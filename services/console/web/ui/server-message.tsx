/**
 * Messages of the server, with names and commands shown as code or as links, and times as people read them.
 */
import { useRouter } from '@tanstack/react-router'
import type { MouseEvent, ReactElement, ReactNode } from 'react'
import { placeOfCommand, type NamedPlace } from './commands-as-links.ts'
import { clockTime, utcTime } from './format.ts'
import { messageParts } from './message-parts.ts'

interface MessageProps {
  readonly text: string
  /**
   * True for the error of an attempt, which may have words of the API. Times in these words are not changed,
   * and commands are no links.
   */
  readonly quotes?: boolean
}

/**
 * A message of the server. Text in backticks is shown as code. A command that a page can do, too, becomes a
 * link to that page.
 */
export function ServerMessage({ text, quotes = false }: MessageProps): ReactNode {
  return messageParts(text).map((part, index) => {
    if (part.kind === 'text') return part.text
    if (part.kind === 'time') return <MessageTime key={index} at={part.text} isQuoted={quotes} />
    const place = quotes ? null : placeOfCommand(part.text)
    return place === null ? <code key={index}>{part.text}</code> : <ToPlace key={index} place={place} />
  })
}

function MessageTime({ at, isQuoted }: { readonly at: string; readonly isQuoted: boolean }): ReactNode {
  if (isQuoted) return at
  return (
    <time dateTime={at} title={utcTime(at)}>
      {clockTime(at)}
    </time>
  )
}

function ToPlace({ place: { href, text } }: { readonly place: NamedPlace }): ReactElement {
  // Toasts are outside of the pages, where there is no router.
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
