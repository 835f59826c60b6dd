/**
 * A list as a table of any length. On a narrow screen each row becomes a card, whose cells show the names of
 * their columns, so that nothing scrolls sideways.
 */
import { Children, cloneElement, isValidElement, type ReactElement, type ReactNode } from 'react'
import { LongTable, type LongListProps } from './long-list.tsx'

/** A column, alone or with its look: `number`, or `hidden` for all but screen readers. */
export type Column = string | readonly [name: string, looks: string]

interface ListTableProps<T> extends Omit<LongListProps<T>, 'height'> {
  /** The name of the list, for screen readers. */
  readonly label: string
  readonly columns: readonly Column[]
  readonly className?: string
  /** One item as a `tr`, with a `td` or `th` for each column. */
  readonly children: LongListProps<T>['children']
}

const ROW_HEIGHT = 45

export function ListTable<T>({
  label,
  columns,
  className = '',
  items,
  children,
}: ListTableProps<T>): ReactElement {
  const names = columns.map(column => (typeof column === 'string' ? column : column[0]))
  return (
    <LongTable
      label={label}
      className={className}
      items={items}
      height={ROW_HEIGHT}
      head={
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
      }
    >
      {item => withNames(children(item), names)}
    </LongTable>
  )
}

interface Parent {
  readonly children?: ReactNode
  readonly 'data-column'?: string | undefined
}

/** Gives each cell of a row the name of its column. */
function withNames(row: ReactElement, names: readonly string[]): ReactElement {
  if (!isValidElement<Parent>(row)) return row
  const cells = Children.toArray(row.props.children).map((cell, index) =>
    isValidElement<Parent>(cell) ? cloneElement(cell, { 'data-column': names[index] }) : cell,
  )
  return cloneElement(row, {}, ...cells)
}

interface MoreProps {
  readonly query: {
    readonly hasNextPage: boolean
    readonly isFetchingNextPage: boolean
    readonly fetchNextPage: () => Promise<unknown>
  }
  readonly children: ReactNode
}

/** The button that loads more. Empty once everything is shown. */
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
