/** A table with rows of a query, and with the types of its columns. */
import type { RowsView } from '@sluice/contracts/api/resources'
import { memo, type ReactElement } from 'react'

const MAX_CHARACTERS = 120

/**
 * React draws it anew for other rows only. It may have thousands of cells, and each letter that somebody
 * types into the query draws the form.
 */
export const RowsTable = memo(function RowsTable({ rows: all }: { readonly rows: RowsView }): ReactElement {
  const { columns, rows, more } = all
  if (rows.length === 0)
    return (
      <p className="quiet">
        The query has no rows. Its columns: {columns.map(({ name }) => name).join(', ')}.
      </p>
    )
  return (
    <div className="scroll rows" tabIndex={0} role="region" aria-label="The first rows">
      <table className="list">
        <thead>
          <tr>
            {columns.map(({ name, type }) => (
              <th key={name} scope="col">
                {name} <small>{type.toLowerCase()}</small>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {columns.map(({ name }) => (
                <td key={name}>{cellOf(row[name])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {more ? <p className="quiet pad">And more rows.</p> : null}
    </div>
  )
})

function cellOf(value: unknown): ReactElement | string {
  if (value === null || value === undefined) return <em className="quiet">null</em>
  if (value === '') return <em className="quiet">empty</em>
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text
}
