/**
 * A list as a table with columns that sort. The order is the page's, which keeps it in its address: the name
 * of a column, with a minus before it if the largest comes first.
 */
import { createSortedRowModel, rowSortingFeature, tableFeatures, useTable } from '@tanstack/react-table'
import { useMemo, type ReactElement, type ReactNode } from 'react'
import { LongTable } from './long-list.tsx'

export interface DataColumn<T> {
  readonly name: string
  /** The value that sorts. Null is last in either order. A column without values does not sort. */
  readonly value?: (item: T) => string | number | null
  readonly cell: (item: T) => ReactNode
  /** `number`, `spanning` on a narrow screen, `row-actions`, or `hidden` for all but screen readers. */
  readonly looks?: string
}

interface DataTableProps<T> {
  /** The name of the list, for screen readers. */
  readonly label: string
  readonly items: readonly T[]
  readonly columns: readonly DataColumn<T>[]
  readonly idOf: (item: T) => string
  /** The estimated height of a row in pixels. */
  readonly height?: number
  readonly sort?: string | undefined
  readonly onSort?: (sort: string | undefined) => void
  /** True for the row that is shown beside the table. */
  readonly isChosen?: (item: T) => boolean
  readonly className?: string
}

const ROW_HEIGHT = 45
const FEATURES = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel() })

export function DataTable<T extends object>(props: DataTableProps<T>): ReactElement {
  const { label, items, columns, idOf, height = ROW_HEIGHT, sort, onSort, className = '' } = props
  const sorted = useMemo(
    () => (sort === undefined ? [] : [{ id: sort.replace(/^-/, ''), desc: sort.startsWith('-') }]),
    [sort],
  )
  const defined = useMemo(() => columns.map(column => definition(column)), [columns])
  const table = useTable({
    features: FEATURES,
    columns: defined,
    data: items,
    getRowId: idOf,
    state: { sorting: sorted },
    autoResetSorting: false,
  })
  return (
    <LongTable
      label={label}
      className={className}
      items={table.getRowModel().rows}
      height={height}
      head={
        <tr>
          {columns.map(column => (
            <Head key={column.name} column={column} sort={sort} onSort={onSort} />
          ))}
        </tr>
      }
    >
      {row => (
        <tr key={row.id} data-chosen={props.isChosen?.(row.original)}>
          <Cells item={row.original} columns={columns} />
        </tr>
      )}
    </LongTable>
  )
}

function definition<T>({ name, value }: DataColumn<T>) {
  return {
    id: name,
    // An absent value sorts as undefined, which the library puts last.
    accessorFn: (item: T) => value?.(item) ?? undefined,
    enableSorting: value !== undefined,
    sortUndefined: 'last',
  } as const
}

interface CellsProps<T> {
  readonly item: T
  readonly columns: readonly DataColumn<T>[]
}

/** The cells are made again only if their item has changed. */
function Cells<T>({ item, columns }: CellsProps<T>): ReactNode {
  return useMemo(
    () =>
      columns.map(({ name, cell, looks }) => (
        <td key={name} className={looks === 'hidden' ? 'row-actions' : looks} data-column={name}>
          {cell(item)}
        </td>
      )),
    [columns, item],
  )
}

interface HeadProps<T> {
  readonly column: DataColumn<T>
  readonly sort: string | undefined
  readonly onSort: ((sort: string | undefined) => void) | undefined
}

function Head<T>({ column: { name, looks, value }, sort, onSort }: HeadProps<T>): ReactElement {
  if (looks === 'hidden')
    return (
      <th scope="col">
        <span className="hidden">{name}</span>
      </th>
    )
  if (value === undefined || onSort === undefined)
    return (
      <th scope="col" className={looks}>
        {name}
      </th>
    )
  const order = sort === name ? 'ascending' : sort === `-${name}` ? 'descending' : undefined
  const next = { ascending: `-${name}`, descending: undefined, none: name }[order ?? 'none']
  return (
    <th scope="col" className={looks} aria-sort={order}>
      <button type="button" onClick={() => onSort(next)}>
        {name} <span aria-hidden="true">{order === undefined ? '' : order === 'ascending' ? '↑' : '↓'}</span>
      </button>
    </th>
  )
}
