/**
 * A list of any length. A long list scrolls within a box, and only the visible items are rendered. The other
 * items keep their space: by the heights that they had, or by an estimate.
 */
import {
  defaultRangeExtractor,
  measureElement,
  useVirtualizer,
  type Rect,
  type Virtualizer,
} from '@tanstack/react-virtual'
import {
  cloneElement,
  isValidElement,
  useRef,
  type FocusEvent,
  type ReactElement,
  type ReactNode,
  type Ref,
  type RefObject,
} from 'react'

/** A shorter list is rendered as a whole, so that the browser can search it. */
const LONG = 40
/** The items that are rendered beyond the box, on either side. */
const BEYOND = 8

export interface LongListProps<T> {
  readonly items: readonly T[]
  /** The estimated height of an item in pixels, until it has been shown. */
  readonly height: number
  /** One item with its key: an element `li`, or the `tr` of a `tbody`. */
  readonly children: (item: T) => ReactElement
}

/** The library measures an item by these properties. */
interface Placed {
  readonly 'data-index'?: number
  readonly ref?: Ref<Element>
}

interface Shown {
  readonly items: readonly ReactElement[]
  /** The heights of the items that are not rendered, in pixels. */
  readonly before: number
  readonly after: number
  readonly onFocus: (event: FocusEvent) => void
}

function useShown<T>(box: RefObject<HTMLElement | null>, list: LongListProps<T>): Shown {
  const { items, height, children } = list
  // An item with the focus is rendered, wherever the box is scrolled to.
  const focused = useRef(-1)
  const isLong = items.length > LONG
  const virtual = useVirtualizer({
    count: items.length,
    enabled: isLong,
    getScrollElement: () => box.current,
    estimateSize: () => height,
    overscan: BEYOND,
    useFlushSync: false,
    observeElementRect: observeBox,
    measureElement: (item, entry, virtual) =>
      entry === undefined
        ? (virtual.measurementsCache[virtual.indexFromElement(item)]?.size ?? height)
        : measureElement(item, entry, virtual),
    rangeExtractor: range => {
      const near = defaultRangeExtractor(range)
      const at = focused.current
      return at < 0 || at >= items.length || near.includes(at) ? near : [...near, at].sort((a, b) => a - b)
    },
  })
  const onFocus = ({ target }: FocusEvent): void => {
    const item = target.closest('[data-index]')
    focused.current = item instanceof HTMLElement ? Number(item.dataset['index']) : -1
  }
  if (!isLong) return { items: items.map(children), before: 0, after: 0, onFocus }
  const shown = virtual.getVirtualItems()
  return {
    items: shown.flatMap(({ index }) => {
      const item = items[index]
      const made = item === undefined ? null : children(item)
      if (!isValidElement<Placed>(made)) return []
      return [cloneElement(made, { 'data-index': index, ref: virtual.measureElement })]
    }),
    before: shown[0]?.start ?? 0,
    after: virtual.getTotalSize() - (shown.at(-1)?.end ?? 0),
    onFocus,
  }
}

/**
 * The browser tells the heights of the box and of its items with the next frame. To read a height sooner
 * would lay out the whole page, within the task that renders it.
 */
function observeBox(
  { scrollElement: box }: Virtualizer<HTMLElement, Element>,
  tell: (size: Rect) => void,
): (() => void) | undefined {
  if (box === null) return undefined
  const observer = new ResizeObserver(([entry]) => {
    if (entry !== undefined) tell(entry.contentRect)
  })
  observer.observe(box)
  return () => observer.disconnect()
}

interface BoxProps<T> extends LongListProps<T> {
  /** The name of the list, for screen readers. */
  readonly label: string
  readonly className?: string
}

export function LongList<T>({ label, className = '', ...list }: BoxProps<T>): ReactElement {
  const box = useRef<HTMLDivElement>(null)
  const { items, before, after, onFocus } = useShown(box, list)
  const isLong = list.items.length > LONG
  return (
    <div
      ref={box}
      className="scroll"
      data-long={isLong}
      {...(isLong ? { tabIndex: 0, role: 'group', 'aria-label': label } : {})}
    >
      <ul className={className} style={{ paddingTop: before, paddingBottom: after }} onFocus={onFocus}>
        {items}
      </ul>
    </div>
  )
}

interface TableProps<T> extends BoxProps<T> {
  readonly head: ReactNode
}

/** Shows a list as a table. On a narrow screen each row becomes a card. */
export function LongTable<T>({ label, className = '', head, ...list }: TableProps<T>): ReactElement {
  const box = useRef<HTMLDivElement>(null)
  const { items, before, after, onFocus } = useShown(box, list)
  return (
    <div
      ref={box}
      className="scroll"
      data-long={list.items.length > LONG}
      tabIndex={0}
      role="group"
      aria-label={label}
    >
      <table className={`list ${className}`} data-cards aria-rowcount={list.items.length + 1}>
        <thead>{head}</thead>
        <tbody onFocus={onFocus}>
          {before > 0 ? <Space height={before} /> : null}
          {items}
          {after > 0 ? <Space height={after} /> : null}
        </tbody>
      </table>
    </div>
  )
}

function Space({ height }: { readonly height: number }): ReactElement {
  return (
    <tr className="space" style={{ height }}>
      <td />
    </tr>
  )
}
