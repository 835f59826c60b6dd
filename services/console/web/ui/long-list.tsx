/**
 * A list of any length. It is split into groups, and only groups near the window have contents. All others
 * keep their place, with the height that they had.
 */
import { useEffect, useRef, useState, type ReactElement, type RefObject } from 'react'

const GROUP = 15
/** The distance from the window, in pixels, within which groups have contents. */
const NEAR = '900px 0px'

export interface LongListProps<T> {
  readonly items: readonly T[]
  /** The estimated height of an item in pixels, until it has been shown. */
  readonly height: number
  /** One item with its key: a `li`, or the `tr` of a `tbody`. */
  readonly children: (item: T) => ReactElement
}

/** Several lists one after the other, which look like one. */
export function LongList<T>(props: LongListProps<T> & { readonly className: string }): ReactElement {
  return <Groups {...props} kind="list" />
}

/** Several bodies of a table, one after the other. */
export function LongBody<T>(props: LongListProps<T>): ReactElement {
  return <Groups {...props} kind="body" className="" />
}

interface GroupProps<T> extends LongListProps<T> {
  readonly kind: 'list' | 'body'
  readonly className: string
}

function Groups<T>({ items, ...more }: GroupProps<T>): ReactElement {
  const groups = Array.from({ length: Math.ceil(items.length / GROUP) }, (_, at) => at)
  return (
    <>
      {groups.map(at => (
        <Group key={at} {...more} isFirst={at === 0} items={items.slice(at * GROUP, (at + 1) * GROUP)} />
      ))}
    </>
  )
}

function Group<T>({
  items,
  height,
  children,
  kind,
  className,
  isFirst,
}: GroupProps<T> & { readonly isFirst: boolean }): ReactElement {
  const list = useRef<HTMLUListElement>(null)
  const body = useRef<HTMLTableSectionElement>(null)
  const { isNear, seenHeight } = useIsNear(kind === 'list' ? list : body, isFirst)
  const kept = seenHeight ?? items.length * height
  if (kind === 'list')
    return (
      <ul ref={list} className={className} style={isNear ? undefined : { height: kept }}>
        {isNear ? items.map(children) : null}
      </ul>
    )
  return (
    <tbody ref={body}>
      {isNear ? (
        items.map(children)
      ) : (
        <tr style={{ height: kept }}>
          <td />
        </tr>
      )}
    </tbody>
  )
}

function useIsNear(
  element: RefObject<Element | null>,
  isFirst: boolean,
): { readonly isNear: boolean; readonly seenHeight: number | null } {
  const [isNear, setNear] = useState(isFirst)
  const [seenHeight, setSeenHeight] = useState<number | null>(null)
  useEffect(() => {
    const group = element.current
    if (group === null) return undefined
    const observer = new IntersectionObserver(
      entries => {
        const entry = entries.at(-1)
        // A group with the focus keeps its contents, wherever the page is scrolled to.
        if (entry === undefined || (!entry.isIntersecting && group.contains(document.activeElement))) return
        if (!entry.isIntersecting) setSeenHeight(entry.boundingClientRect.height)
        setNear(entry.isIntersecting)
      },
      { rootMargin: NEAR },
    )
    observer.observe(group)
    return () => observer.disconnect()
  }, [element])
  return { isNear, seenHeight }
}
