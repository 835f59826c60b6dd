/** A list as a table: it scrolls sideways where it is wider than its card, and is as long as it is. */
import type { ReactElement, ReactNode } from 'react'
import { LongBody, type LongListProps } from './long-list.tsx'

/** A column, alone or with how it looks: `number`, `wide-only`, or `hidden` but for screen readers. */
export type Column = string | readonly [name: string, looks: string]

interface ListTableProps<T> extends Omit<LongListProps<T>, 'height'> {
  /** What the list is of. */
  readonly label: string
  readonly columns: readonly Column[]
  readonly className?: string
}

const ROW_HEIGHT = 45

export function ListTable<T>({
  label,
  columns,
  className = '',
  items,
  children,
}: ListTableProps<T>): ReactElement {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={label}>
      <table className={`list ${className}`}>
        <thead>
          <tr>
            {columns.map(column => {
              const [name, looks] = typeof column === 'string' ? [column, ''] : column
              return (
                <th key={name} scope="col" className={looks === 'hidden' ? '' : looks}>
                  {looks === 'hidden' ? <span className="hidden">{name}</span> : name}
                </th>
              )
            })}
          </tr>
        </thead>
        <LongBody items={items} height={ROW_HEIGHT}>
          {children}
        </LongBody>
      </table>
    </div>
  )
}

interface MoreProps {
  readonly query: {
    readonly hasNextPage: boolean
    readonly isFetchingNextPage: boolean
    readonly fetchNextPage: () => Promise<unknown>
  }
  readonly children: ReactNode
}

/** Nothing once all is shown. */
export function More({ query, children }: MoreProps): ReactElement | null {
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query
  if (!hasNextPage) return null
  return (
    <div className="more">
      <button type="button" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
        {isFetchingNextPage ? 'Loading…' : children}
      </button>
    </div>
  )
}
